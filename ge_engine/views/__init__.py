"""How values and events read: as text, on a terminal, in a notebook. Nothing here decides."""
