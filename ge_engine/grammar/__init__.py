"""A block and a grammar template -> a concrete grammar, and an answer in its form -> code.

`making` joins a `.lark` template with what a block leaves open; `edits`, `block` and `diff` are the three
forms; `sites`, `layers` and `families` know what may stand in place of what; `scope`, `flow` and
`signatures` know what is in reach.
"""
