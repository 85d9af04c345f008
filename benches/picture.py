"""Charts as SVG, readable on light and on dark pages."""

import html

# Of a letter at 12 px, at most, in the fonts that browsers take for sans-serif.
LETTER = 7.2

STYLE = """
text { fill: #24292f; font: 12px sans-serif }
.title { font-size: 14px; font-weight: bold }
.end { text-anchor: end } .middle { text-anchor: middle }
.ground { fill: #fff } .grid { stroke: #d8dee4; fill: none } .one { stroke: #57606a; fill: none }
.ours { fill: #0b6e4f } .theirs { fill: #c8553d } .third { fill: #3d5a80 } .fourth { fill: #8d6a9f }
.line { fill: none; stroke-width: 2 } .dashed { stroke-dasharray: 6 4 } .none { fill: none; stroke: #57606a; stroke-width: 1.5 }
.line.ours, .none.ours { stroke: #0b6e4f } .line.theirs, .none.theirs { stroke: #c8553d }
.line.third { stroke: #3d5a80 } .line.fourth { stroke: #8d6a9f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .ground { fill: #0d1117 } .grid { stroke: #30363d } .one { stroke: #9198a1 }
  .ours { fill: #46b892 } .theirs { fill: #ee8a73 } .third { fill: #79a8e0 } .fourth { fill: #c9a2dc } .line, .none { fill: none }
  .line.ours, .none.ours { stroke: #46b892 } .line.theirs, .none.theirs { stroke: #ee8a73 }
  .line.third { stroke: #79a8e0 } .line.fourth { stroke: #c9a2dc }
}
"""


class Picture:
    """An SVG that is readable on light and on dark pages."""

    def __init__(self, width, height):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}">\n<style>{STYLE}</style>\n'
            f'<rect class="ground" width="{width:.0f}" height="{height:.0f}"/>'
        ]

    def text(self, x, y, text, kind=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{html.escape(text)}</text>')

    def path(self, points, kind):
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path d="M{line}" class="{kind}"/>')

    def bar(self, x, y, width, height, kind):
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}"/>'
        )

    def dot(self, x, y, kind):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="{kind}"/>')

    def save(self, path):
        path.write_text("\n".join([*self.parts, "</svg>", ""]))


def rate(value):
    for bound, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= bound:
            return f"{value / bound:g} {suffix}/s"
    return f"{value:g} /s"
