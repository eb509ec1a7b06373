"""A GPU to try placement on where there is none.

Inside `with pretended_gpu(monkeypatch):`, tensors can be sent to "cuda": they say that they are there, compute
on the CPU, and refuse, as on a true GPU, to be mixed with tensors of the CPU or to become numpy arrays. What is
computed, and that nothing was left on the wrong device, is thus tested; speed and kernels are not.
"""

from functools import partial

import torch
from torch.overrides import TorchFunctionMode

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
# these take both on a true GPU as well
MIXING = {"copy_", "__getitem__", "__setitem__", "index_put_"}
IN_GENERAL = torch._C.DisableTorchFunction


class OnGPU(torch.Tensor):
    """A tensor that says it is on CUDA; its numbers are in `inner`."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, strides=inner.stride())

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return _call(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} went past the pretended GPU")


class _Mode(TorchFunctionMode):
    """Factories such as torch.zeros(3, device="cuda") have no tensor to be recognised by."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return _call(func, args, kwargs or {})


class _Generator(torch.Generator):
    """torch.Generator as it is where there is a GPU."""

    def __new__(cls, device="cpu"):
        return torch._C.Generator.__new__(_GPUGenerator if torch.device(device).type == "cuda" else torch._C.Generator)


class _GPUGenerator(_Generator):
    device = CUDA


def _autocast(device, *arguments, made, **options):
    return made("cpu" if device == "cuda" else device, *arguments, **options)


def pretended_gpu(monkeypatch, capability=(7, 0)):
    """A context in which there is one GPU, too old for the Triton kernels unless said otherwise."""
    monkeypatch.setattr(torch, "Generator", _Generator)
    monkeypatch.setattr(torch, "autocast", partial(_autocast, made=torch.autocast))
    for name, value in {
        "_lazy_init": None, "is_available": True, "current_device": 0, "empty_cache": None,
        "mem_get_info": (2**30, 2**31), "get_device_name": "pretended GPU", "get_device_capability": capability,
        "synchronize": None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    if hasattr(torch, "accelerator"):  # a CUDA build would start the driver that is not there
        for name, value in {"current_accelerator": None, "is_available": False, "device_count": 0}.items():
            monkeypatch.setattr(torch.accelerator, name, lambda *_, value=value, **__: value)
    return _Mode()


def inner(a):
    """The tensor behind a pretended one; anything else as it is."""
    return a.inner if isinstance(a, OnGPU) else a


def tree_map(function, tree):
    """`function` of everything in tuples, lists and dicts."""
    kind = type(tree)
    if kind in (tuple, list):
        return kind([tree_map(function, a) for a in tree])
    if kind is dict:
        return {key: tree_map(function, a) for key, a in tree.items()}
    if isinstance(tree, tuple) and kind is not torch.Size:  # what torch.max and the like return
        made = [tree_map(function, a) for a in tree]
        return kind(made) if kind.__module__ == "torch.return_types" else kind(*made)
    return function(tree)


def tree_leaves(tree):
    kind = type(tree)
    if kind is dict:
        tree = tree.values()
    elif not isinstance(tree, (tuple, list)):
        return [tree]
    return [leaf for a in tree for leaf in tree_leaves(a)]


def _dims(a):
    with IN_GENERAL():
        return inner(a).ndim


def _call(func, args, kwargs):
    name = getattr(func, "__name__", str(func))
    tensors = [a for a in tree_leaves((args, kwargs)) if isinstance(a, torch.Tensor)]
    elsewhere = any(isinstance(a, OnGPU) for a in tensors)
    here = any(not isinstance(a, OnGPU) and _dims(a) for a in tensors)
    if name == "__get__" and elsewhere and func.__self__ in (torch.Tensor.device, torch.Tensor.is_cuda):
        return CUDA if func.__self__ is torch.Tensor.device else True
    if name in ("to", "cuda", "cpu"):
        return _move(name, args, kwargs)
    if name == "_has_compatible_shallow_copy_type":  # modules then make new parameters
        return False
    if elsewhere:
        _refuse(name, args, here)
    if kwargs.get("device") is not None:
        elsewhere = torch.device(kwargs["device"]).type == "cuda"
        kwargs = {**kwargs, "device": "cpu"}
    generator = kwargs.get("generator")
    if generator is not None and isinstance(generator, _GPUGenerator) != elsewhere:
        raise RuntimeError(f"{name}: the generator is on another device than what it draws")
    with IN_GENERAL():
        out = func(*tree_map(inner, args), **tree_map(inner, kwargs))
    if not elsewhere:
        return out
    known = {id(a.inner): a for a in tensors if isinstance(a, OnGPU)}  # in place: the same object comes back
    return tree_map(lambda o: known.get(id(o)) if id(o) in known else placed(o), out)


def placed(a):
    return OnGPU(a) if isinstance(a, torch.Tensor) and not isinstance(a, OnGPU) else a


def _refuse(name, args, here):
    if name in ("numpy", "__array__"):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")
    if here and name not in MIXING:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found cuda:0 and cpu")
    if name in ("__getitem__", "__setitem__") and not isinstance(args[0], OnGPU) and any(
            isinstance(a, OnGPU) and _dims(a) for a in tree_leaves(args[1])):
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")


def _move(name, args, kwargs):
    x, *rest = args
    device, dtype = {"cuda": CUDA, "cpu": CPU}.get(name), None
    memory = kwargs.pop("memory_format", None) if kwargs else None
    if name == "to":
        if rest and isinstance(rest[0], torch.Tensor):
            device, dtype = rest[0].device, rest[0].dtype
        elif rest or kwargs:
            device, dtype, *_ = torch._C._nn._parse_to(*rest, **kwargs)
    was, before = isinstance(x, OnGPU), inner(x)
    becomes = was if device is None else device.type == "cuda"
    with IN_GENERAL():
        dtype = dtype or before.dtype
        if was == becomes and dtype == before.dtype and memory is None:
            return x
        out = before.to(dtype, copy=was != becomes, memory_format=memory or torch.preserve_format)
    return OnGPU(out) if becomes else out
