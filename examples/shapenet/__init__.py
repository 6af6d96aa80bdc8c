"""A small network in several files: `ge evolve examples/shapenet/net.py --package`."""

from .net import ShapeNet

__all__ = ["ShapeNet"]
