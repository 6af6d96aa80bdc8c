"""Grammar templates (.lark). Data only; `ge_plugins.grammars` registers them."""
