"""The demonstration: the whole main job on real parts, with fictional people."""
