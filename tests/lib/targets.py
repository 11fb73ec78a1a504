# SPDX-License-Identifier: Apache-2.0
"""What a suite shows: lines NAME VALUE TARGET ok|short."""


class Targets:
    def __init__(self):
        self.lines, self.good, self.bad = [], 0, 0

    def add(self, name, value, target, is_met):
        self.lines.append(f"{name} {value} {target} {'ok' if is_met else 'short'}")
        self.good, self.bad = self.good + is_met, self.bad + (not is_met)

    def least(self, name, value, target):
        self.add(name, value, target, value >= target)

    def most(self, name, value, target):
        self.add(name, value, target, value <= target)
