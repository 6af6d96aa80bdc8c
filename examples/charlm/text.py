"""The text that the model learns: diary entries, made up by rule, so that nothing has to be downloaded."""

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
PEOPLE = ["Ada", "Emmy", "Grace", "Lise", "Maria", "Sofia"]
PLACES = ["the harbour", "the library", "the old mill", "the station", "the tea house"]
WEATHER = ["it rained all morning", "the sun was out", "a cold wind blew", "fog lay on the hills"]


def diary(entries=1500):
    """So many lines, the same each time."""
    lines, state = [], 1
    for number in range(entries):
        picked = []
        for words in (PEOPLE, PLACES, WEATHER):
            state = (state * 1103515245 + 12345) % 2**31
            picked.append(words[(state >> 16) % len(words)])
        person, place, weather = picked
        lines.append(f"On {DAYS[number % 7]} {person} went to {place}, and {weather}.\n")
    return "".join(lines)
