"""Heads."""

from .pooled import PooledHead as PooledHead
