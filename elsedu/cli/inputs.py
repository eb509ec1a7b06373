"""What several commands are given: a network and the images it was trained on."""

from __future__ import annotations


def load_network(name):
    """A shipped network by name, or one from a .safetensors file."""
    from elsedu import networks

    return networks.load(name) if str(name).endswith(".safetensors") else networks.network(name)


def load_data(network, data=None, size=None, limit=None, root=None):
    """(ImageSet, options): the set asked for, or the one that the network's file says it was trained on."""
    import elsedu

    options = {"size": size, "limit": limit}
    if data is None:
        known = dict(getattr(network, "provenance", {}).get("data", {}))
        if "name" not in known:
            raise ValueError("the network's file does not say on which data it was trained: give --data")
        data = known["name"]
        if data not in elsedu.data.SOURCES:
            raise ValueError(f"the network was trained on {str(data)[:60]!r}, which elsedu does not ship: give --data")
        known = {key: known[key] for key in ("size", "split", "limit", "seed", "crop") if key in known}
        options = known | {key: value for key, value in options.items() if value is not None}
    return elsedu.load(data, root=root, **options), options
