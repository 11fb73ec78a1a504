# SPDX-License-Identifier: Apache-2.0
"""A row of small plots as SVG: one line each, against a scale of powers."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, GAP = 230, 170, 46, 34, 62
LINES = ["#1f6f8b", "#c05c2e"]


def text(x, y, what, anchor="middle", size=11):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">'
        f"{escape(str(what))}</text>"
    )


def nice_top(value):
    """The next of 1, 2, 5, 10, ... above it."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999)


def short(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


class Panel:
    """x: numbers, from few to many; each of lines: as many values from 0 up."""

    def __init__(self, title, x, lines):
        self.title, self.x, self.lines = title, x, lines

    def x_at(self, value):
        low, high = math.log(self.x[0]), math.log(self.x[-1])
        return LEFT + WIDTH * ((math.log(value) - low) / (high - low) if high > low else 0.5)

    def draw(self):
        parts = [text(LEFT + WIDTH / 2, TOP - 16, self.title, size=13)]
        bottom = TOP + HEIGHT
        parts.append(
            f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none"'
            ' stroke="#999"/>'
        )
        for value in self.x:
            parts.append(text(self.x_at(value), bottom + 15, short(value)))
        for (name, values), colour, side in zip(self.lines.items(), LINES, ("end", "start")):
            parts += self._line(name, values, colour, side)
        return "\n".join(parts)

    def _line(self, name, values, colour, side):
        top, bottom = nice_top(max(values)), TOP + HEIGHT
        edge = LEFT - 5 if side == "end" else LEFT + WIDTH + 5
        points = [
            (self.x_at(x), bottom - HEIGHT * value / top) for x, value in zip(self.x, values)
        ]
        yield f'<g fill="{colour}">'
        for share in (0, 0.5, 1):
            yield text(edge, bottom - HEIGHT * share + 4, f"{top * share:g}", side)
        inside = LEFT + 6 if side == "end" else LEFT + WIDTH - 6
        yield text(inside, TOP + 13, name, "start" if side == "end" else "end")
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        yield "</g>"
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def write(path, panels):
    step = LEFT + WIDTH + GAP
    height = TOP + HEIGHT + 30
    with open(path, "w") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{step * len(panels)}"'
            f' height="{height}" font-family="sans-serif">\n'
            '<rect width="100%" height="100%" fill="white"/>\n'
        )
        for i, panel in enumerate(panels):
            file.write(f'<g transform="translate({i * step},0)">\n{panel.draw()}\n</g>\n')
        file.write("</svg>\n")
