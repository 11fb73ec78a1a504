# SPDX-License-Identifier: Apache-2.0
"""Which faults of tests/chaos strike the week, and whom: the spared are stopped, cut off and left
without Kafka and PostgreSQL like the others, but never killed."""

import faults_process
import faults_service  # noqa: F401
from faults import CITY, POSTS, Lane
from posts import POSTS as ALL_POSTS

ONLY = set(
    "kill_mortal_rollup stop_rollup rebalance kill_broker restart_broker kill_postgres"
    " terminate_backends cut_postgres cut_kafka_city"
    " kill_mortal_producer stop_producer no_network".split()
)


class KillMortalRollup(faults_process.KillRollup):
    def victims(self, count):
        return [r for name, r in self.rig.rollups.items() if name != self.rig.SPARED][:count]


class KillMortalProducer(faults_process.KillProducer):
    def victim(self):
        names = [post.name for post in ALL_POSTS if not post.is_spared]
        return self.rig.producers[self.pick.choice(names)]


class Faults:
    """Two lanes for a day; their decks last for the week."""

    def __init__(self, rig, seed):
        self.rig, self.seed = rig, seed
        self.lanes, self.decks, self.struck = [], {}, []

    def start(self, day):
        self.lanes = [
            Lane(self.rig, name, f"{self.seed} {day}", False, ONLY) for name in (CITY, POSTS)
        ]
        for lane in self.lanes:
            lane.deck = self.decks.setdefault(lane.name, lane.deck)
            lane.start()

    def stop(self):
        """When all is healed."""
        for lane in self.lanes:
            lane.stop()
            self.struck += lane.struck
        self.lanes = []
