"""What every denoiser shares: noise schedules, the denoiser itself, sampling, and the streams of noise (part I)."""

from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.sampling import ddim, sample, times
from elsedu.diffusion.schedule import Schedule, cosine, flow_matching, linear_vp

__all__ = ["Denoiser", "Schedule", "cosine", "ddim", "flow_matching", "linear_vp", "sample", "times"]
