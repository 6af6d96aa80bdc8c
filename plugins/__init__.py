"""The built-in plugins, registered by entry points exactly as a third party would."""
