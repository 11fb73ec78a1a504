# SPDX-License-Identifier: Apache-2.0
"""The worked questions on sixty days: a line each. How fast this machine is, is no test; that every
question has an answer then, in a bounded time, is."""

import pytest
import speed
from lib.system import LONG, System


@pytest.fixture(scope="module")
def sixty_days(request):
    """The day of the other tests, which came before; in the long form one with a city beside it."""
    if not LONG:
        system = request.getfixturevalue("city")
        speed.multiply(system)
        yield system
        return
    system = System("speed", is_simulated=True, is_set_up=False)
    try:
        speed.day_of_all_kinds(system)
        speed.multiply(system)
        yield system
    finally:
        system.close()


def test_every_question_is_answered_on_sixty_days(sixty_days, show):
    days = sixty_days.value("SELECT count(*) FROM {s}.checkpoint_days")
    assert speed.DAYS <= days <= speed.DAYS + 1, "to the end of the day, which is the next one"
    found = list(speed.measure(sixty_days))
    for figure in [*speed.sizes(sixty_days), *speed.limits(found)]:
        show(figure)
    assert len(found) == 20
    assert [name for name, _, rows in found if rows == 0] == []
