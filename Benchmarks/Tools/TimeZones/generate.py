#!/usr/bin/env python3
"""Writes the time zone data that is compiled in, and the numbers that its tests expect.

Run from the top of the repository when the IANA time zone database has a new release:

    pip install --upgrade tzdata
    python3 Benchmarks/Tools/TimeZones/generate.py

Reads the compiled files of the Python package `tzdata`, never this machine's. The expected
numbers come another way: from offsets that Python's `zoneinfo` tells, walked day by day. A new
release ends the epoch of every topology that knows of local days, as it may move their spend.
"""

import importlib.resources
import struct
import zoneinfo

import tzdata

DATA = "Sources/Bidding/TimeZones/TimeZoneData.swift"
GOLDENS = "Tests/BiddingTests/TimeZoneGoldens.swift"
YEAR_2000 = 946_684_800
DAY = 86_400
# Days that the tests walk: 2000-01-03 to 2037-12-31. After that only rules repeat.
FIRST_DAY, LAST_DAY = 10_959, 24_836
SEED, PRIME, MASK = 0xCBF29CE484222325, 0x00000100000001B3, 2**64 - 1


def names():
    text = importlib.resources.files("tzdata").joinpath("zones").read_text()
    return sorted(text.split())


def read(name):
    """(offset in 2000, [(time, offset)], footer), all in seconds."""
    data = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()

    def header(at):
        return struct.unpack(">4s16x6I", data[at : at + 44])

    _, isut, isstd, leap, times, types, chars = header(0)
    at = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    magic, isut, isstd, leap, times, types, chars = header(at)
    assert magic == b"TZif" and leap == 0, name
    at += 44
    moments = struct.unpack(f">{times}q", data[at : at + 8 * times])
    at += 8 * times
    kinds = data[at : at + times]
    at += times
    offsets = [struct.unpack(">i", data[at + 6 * i : at + 6 * i + 4])[0] for i in range(types)]
    at += 6 * types + chars + isstd + isut
    footer = data[at:].strip(b"\n").decode()
    offset = offsets[0]
    changes = []
    for moment, kind in zip(moments, kinds):
        if moment <= YEAR_2000:
            offset = offsets[kind]
        # The last one counts even if it changes only names: the footer's rule begins there.
        elif moment == moments[-1] or offsets[kind] != (changes[-1][1] if changes else offset):
            changes.append((moment, offsets[kind]))
    return offset, tuple(changes), footer


def rule(footer):
    """[standard] or [standard, summer, start, end] in minutes; a date is month.week.day.time."""
    position = 0

    def skip_name():
        nonlocal position
        if footer[position] == "<":
            position = footer.index(">", position) + 1
        else:
            while position < len(footer) and footer[position].isalpha():
                position += 1

    def minutes():
        nonlocal position
        start = position
        while position < len(footer) and footer[position] in "+-:0123456789":
            position += 1
        text = footer[start:position]
        sign = -1 if text.startswith("-") else 1
        parts = [int(part) for part in text.lstrip("+-").split(":")]
        assert len(parts) <= 2, footer
        return sign * (parts[0] * 60 + (parts[1] if len(parts) == 2 else 0))

    def date():
        nonlocal position
        assert footer[position : position + 2] == ",M", footer
        end = position + 2
        while end < len(footer) and footer[end] in ".0123456789":
            end += 1
        month, week, day = footer[position + 2 : end].split(".")
        position = end
        time = 120
        if position < len(footer) and footer[position] == "/":
            position += 1
            time = minutes()
        return f"{month}.{week}.{day}.{time}"

    skip_name()
    standard = -minutes()
    if position == len(footer):
        return [str(standard)]
    skip_name()
    summer = standard + 60
    if footer[position] != ",":
        summer = -minutes()
    return [str(standard), str(summer), date(), date()]


def base36(number):
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def record(zone, aliases):
    offset, changes, footer = zone
    tokens = ["@", *aliases, "=", str(offset // 60)]
    assert offset % 60 == 0
    last = YEAR_2000
    for moment, offset in changes:
        assert (moment - last) % 60 == 0 and offset % 60 == 0 and moment > last
        tokens.append(f"{base36((moment - last) // 60)}:{offset // 60}")
        last = moment
    return tokens + ["~", *rule(footer)]


def wrapped(tokens, width):
    lines, line = [], ""
    for token in tokens:
        if line and (token == "@" or len(line) + 1 + len(token) > width):
            lines.append(line)
            line = token
        else:
            line = f"{line} {token}" if line else token
    return lines + [line]


def segments(zone):
    """(start, end, offset) as `zoneinfo` tells them, from before 2000 to after the last day."""
    from datetime import datetime, timedelta, timezone

    def offset(moment):
        utc = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=moment)
        return int(utc.astimezone(zone).utcoffset().total_seconds())

    start, end = YEAR_2000 - 30 * DAY, (LAST_DAY + 4) * DAY
    found = []
    begin, current = start, offset(start)
    for moment in range(start, end, DAY // 2):
        after = offset(moment + DAY // 2)
        if after == current:
            continue
        low, high = moment, moment + DAY // 2
        while high - low > 1:
            middle = (low + high) // 2
            if offset(middle) == current:
                low = middle
            else:
                high = middle
        found.append((begin, high, current))
        begin, current = high, after
    found.append((begin, end, current))
    return found


def boundaries(zone):
    """Where each local day begins: at the first moment that has a later date than any before."""
    newest = None
    for start, end, offset in segments(zone):
        for date in range((start + offset) // DAY, (end - 1 + offset) // DAY + 1):
            if newest is None or date > newest:
                newest = date
                yield max(start, date * DAY - offset)


def digest(zone):
    """Of all beginnings of days in the tested time, and how many days are not of 24 hours."""
    result, odd, last = SEED, 0, None
    for moment in boundaries(zone):
        if FIRST_DAY * DAY <= moment < LAST_DAY * DAY:
            result = ((result ^ moment) * PRIME) & MASK
            odd += last is not None and moment - last != DAY
            last = moment
    return result, odd


def main():
    zoneinfo.reset_tzpath(to=[])
    zones = {}
    for name in names():
        zones.setdefault(read(name), []).append(name)
    tokens = [token for zone, aliases in zones.items() for token in record(zone, aliases)]
    with open(DATA, "w") as file:
        file.write(
            "// Made by Benchmarks/Tools/TimeZones/generate.py from the IANA time zone database, which is\n"
            "// in the public domain. How to read it: TimeZoneTables.swift.\n\n"
            "enum TimeZoneData {\n"
            f'  static let release = "{tzdata.IANA_VERSION}"\n\n'
            '  static let text: StaticString = """\n'
        )
        for line in wrapped(tokens, 95):
            file.write(f"    {line}\n")
        file.write('    """\n}\n')
    with open(GOLDENS, "w") as file:
        file.write(
            "// Made by Benchmarks/Tools/TimeZones/generate.py, from what Python's zoneinfo tells.\n\n"
            "enum TimeZoneGoldens {\n"
            f'  static let release = "{tzdata.IANA_VERSION}"\n'
            f"  static let days: Range<Int64> = {FIRST_DAY}..<{LAST_DAY}\n\n"
            "  /// One name of each distinct zone; the digest of where its days begin, in seconds, of\n"
            "  /// all that begin in these days of UTC; how many of them are not of 24 hours.\n"
            '  static let zones = """\n'
        )
        for aliases in zones.values():
            result, odd = digest(zoneinfo.ZoneInfo(aliases[-1]))
            file.write(f"    {aliases[-1]} {result:016x} {odd}\n")
        file.write('    """\n\n  static let names = """\n')
        for line in wrapped(names(), 95):
            file.write(f"    {line}\n")
        file.write('    """.split(whereSeparator: \\.isWhitespace).map(String.init)\n}\n')


if __name__ == "__main__":
    main()
