"""Agents on other machines: they find an engine, show that they belong to it, and are kept and replaced."""
