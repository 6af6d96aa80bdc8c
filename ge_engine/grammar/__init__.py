"""A block and a grammar template -> a concrete grammar, and an answer in its form -> code.

`lark_builder` joins a `.lark` template with what a block leaves open; `edits`, `block`, `diff` and `moves`
are the forms of an answer; `rewrite_sites`, `call_rewrites` and `catalog` know what may stand in place of
what; `scope`, `channel_inference` and `signatures` know what is in scope.
"""
