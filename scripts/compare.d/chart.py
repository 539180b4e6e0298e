"""Charts as SVG, of the standard library alone: bars by group, stacked bars, and lines over a logarithmic axis.

Colours are Okabe and Ito's, which people with any kind of colour vision tell apart; every bar has its number beside it.
"""

import math
from html import escape
from statistics import median

COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#BBBBBB", "#000000"]
DARK = {"#0072B2", "#000000"}  # numbers within them are white
INK, PALE, GRID = "#1a1a1a", "#595959", "#dddddd"
FONT = "font-family=\"'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif\""
WIDTH, MARGIN = 900, 24
BAR, GAP, GROUP_GAP = 20, 5, 22
LABELS = 210  # room for the names beside the bars
CUT = 6  # times a group's median: bars that are longer are cut
NUMBERS = 150  # room for the numbers after them


class Canvas:
    """Shapes, and how high they reach."""

    def __init__(self, title, subtitle):
        self.parts, self.y = [], MARGIN + 18
        self.text(MARGIN, self.y, title, size=18, weight="bold")
        self.y += 20
        self.text(MARGIN, self.y, subtitle, size=12, colour=PALE)
        self.y += 26

    def text(self, x, y, text, size=12, colour=INK, anchor="start", weight="normal"):
        look = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}"'
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(str(text))}</text>')

    def box(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="{colour}"/>')

    def line(self, points, colour=GRID, width=1.0):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')

    def legend(self, entries):
        x = MARGIN
        for name, colour in entries:
            width = 22 + 7.3 * len(name) + 14
            if x + width > WIDTH - MARGIN:
                x, self.y = MARGIN, self.y + 20
            self.box(x, self.y - 10, 12, 12, colour)
            self.text(x + 18, self.y, name)
            x += width
        self.y += 24

    def svg(self):
        height = self.y + MARGIN
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" {FONT}>\n'
                f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def bars(title, subtitle, groups):
    """Horizontal bars in groups: `groups` is [(heading, [(name, value, least, most, text)])]. Each group has a scale of its own; what is many
    times the others is cut, with a gap that shows it."""
    canvas = Canvas(title, subtitle)
    names = list(dict.fromkeys(row[0] for _, rows in groups for row in rows))
    left, longest = MARGIN + LABELS, WIDTH - 2 * MARGIN - LABELS - NUMBERS
    for heading, rows in groups:
        canvas.text(MARGIN, canvas.y, heading, size=13, weight="bold")
        canvas.y += 10
        usual = median(value for _, value, *_ in rows)
        scale = longest / max(most for _, value, _, most, _ in rows if value <= CUT * usual)
        for name, value, least, most, text in rows:
            middle, colour = canvas.y + BAR / 2, COLOURS[names.index(name) % len(COLOURS)]
            canvas.text(left - 8, middle + 4, name, anchor="end")
            if value > CUT * usual:
                canvas.box(left, canvas.y, longest, BAR, colour)
                canvas.line([(left + longest - 34, canvas.y + BAR + 2), (left + longest - 26, canvas.y - 2)], "#ffffff", 5)
                canvas.text(left + longest + 8, middle + 4, f"{text} (cut)")
            else:
                canvas.box(left, canvas.y, value * scale, BAR, colour)
                # From the least to the most of all rounds.
                canvas.line([(left + least * scale, middle), (left + most * scale, middle)], INK, 1.5)
                for end in (least, most):
                    canvas.line([(left + end * scale, middle - 4), (left + end * scale, middle + 4)], INK, 1.5)
                canvas.text(left + most * scale + 8, middle + 4, text)
            canvas.y += BAR + GAP
        canvas.y += GROUP_GAP
    return canvas.svg()


def stacks(title, subtitle, parts, rows):
    """Stacked horizontal bars, each of the same length: `parts` are names in order, `rows` is [(name, {part: value}, text)]."""
    canvas = Canvas(title, subtitle)
    colours = dict(zip(parts, COLOURS))
    canvas.legend(colours.items())
    for name, values, text in rows:
        scale = (WIDTH - 2 * MARGIN - LABELS - NUMBERS) / sum(values.values())
        x, middle = MARGIN + LABELS, canvas.y + BAR * 0.75 + 4
        canvas.text(x - 8, middle, name, anchor="end")
        for part in (part for part in parts if values.get(part)):
            width, number = values[part] * scale, f"{values[part]:,.0f}"
            canvas.box(x, canvas.y, width, BAR * 1.5, colours[part])
            if width > 8 * len(number) + 6:
                canvas.text(x + width / 2, middle, number, colour="#ffffff" if colours[part] in DARK else INK, anchor="middle")
            x += width
        canvas.text(x + 8, middle, text)
        canvas.y += BAR * 1.5 + 14
    return canvas.svg()


def lines(title, subtitle, x_title, series):
    """Lines over a logarithmic x axis, from zero: `series` is [(name, [(x, value, least, most)], unit)]. One panel each."""
    canvas = Canvas(title, subtitle)
    left, right = MARGIN + 70, WIDTH - MARGIN - 40
    height = 150
    xs = sorted({x for _, points, _ in series for x, *_ in points})
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    place = lambda x: left + 20 + (right - left - 40) * ((math.log10(x) - low) / (high - low) if high > low else 0.5)
    for index, (name, points, unit) in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        canvas.text(MARGIN, canvas.y, f"{name}, {unit}", size=13, weight="bold")
        top, bottom = canvas.y + 16, canvas.y + 16 + height
        step = nice(max(most for *_, most in points) * 1.15 / 4)
        highest = step * math.ceil(max(most for *_, most in points) * 1.15 / step)
        level = lambda value: bottom - height * value / highest
        for tick in range(round(highest / step) + 1):
            canvas.line([(left, level(tick * step)), (right, level(tick * step))])
            canvas.text(left - 8, level(tick * step) + 4, f"{tick * step:g}", colour=PALE, anchor="end")
        canvas.line([(place(x), level(value)) for x, value, _, _ in points], colour, 2.5)
        for x, value, least, most in points:
            canvas.line([(place(x), level(least)), (place(x), level(most))], colour, 1.5)
            canvas.dot(place(x), level(value), colour)
            canvas.text(place(x), level(most) - 9, f"{value:.3g}", anchor="middle")
            canvas.text(place(x), bottom + 18, short(x), colour=PALE, anchor="middle")
        canvas.y = bottom + 54
    canvas.text((left + right) / 2, canvas.y - 14, x_title, colour=PALE, anchor="middle")
    return canvas.svg()


def nothing(title, why):
    """A chart of something that could not be measured says so."""
    return Canvas(title, f"not measured: {why}").svg()


def nice(step):
    """The next of 1, 2, 2.5, 5, 10 … that is no smaller."""
    power = 10 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * 0.999)


def short(number):
    for unit, size in (("M", 1_000_000), ("k", 1000)):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"
