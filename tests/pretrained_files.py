"""A small network as the library diffusers saves it."""

import diffusers
import torch


def unet(**changes):
    torch.manual_seed(0)
    options = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "layers_per_block": 1, "norm_num_groups": 4,
               "block_out_channels": (8, 8), "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
               "up_block_types": ("AttnUpBlock2D", "UpBlock2D"), "attention_head_dim": 4, **changes}
    return diffusers.UNet2DModel(**options).eval()


def saved(folder, model, **scheduler):
    model.save_pretrained(folder / "unet")
    diffusers.DDPMScheduler(**scheduler).save_pretrained(folder / "scheduler")
    return folder
