"""A bar chart as SVG: pairs of cases, their wall times on a logarithmic scale."""

import math
from collections.abc import Mapping, Sequence

from measuring import Case

WIDTH, LEFT, ROW, GAP, TOP = 760, 190, 17, 13, 34
OURS, OTHERS = "#2a6fbb", "#b9c2cc"


def chart(pairs: Sequence[tuple[str, str]], cases: Mapping[str, Case]) -> str:
    """The drawing; each pair is (name of our case, name of the other)."""
    times = [cases[name].median("wall") for pair in pairs for name in pair]
    low, high = 10 ** math.floor(math.log10(min(times))), 10 ** math.ceil(math.log10(max(times)))
    scale = (WIDTH - LEFT - 70) / math.log10(high / low)
    height = TOP + len(pairs) * (2 * ROW + GAP) + 22

    def x(seconds: float) -> float:
        return LEFT + math.log10(seconds / low) * scale

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        '<text x="10" y="18" font-size="14">Wall time in seconds (logarithmic; shorter is better)</text>',
    ]
    mark = low
    while mark <= high:
        parts.append(
            f'<line x1="{x(mark):.0f}" y1="{TOP - 6}" x2="{x(mark):.0f}" y2="{height - 18}" stroke="#e3e7eb"/>'
        )
        parts.append(f'<text x="{x(mark):.0f}" y="{height - 5}" text-anchor="middle" fill="#667">{mark:g}</text>')
        mark *= 10
    y = TOP
    for pair in pairs:
        for name, colour in zip(pair, (OURS, OTHERS), strict=True):
            seconds = cases[name].median("wall")
            parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{name}</text>')
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{max(2, x(seconds) - LEFT):.0f}" height="{ROW - 3}" fill="{colour}"/>'
            )
            parts.append(f'<text x="{max(LEFT + 2, x(seconds)) + 5:.0f}" y="{y + 12}" fill="#445">{seconds:.2f}</text>')
            y += ROW
        y += GAP
    return "\n".join([*parts, "</svg>"]) + "\n"
