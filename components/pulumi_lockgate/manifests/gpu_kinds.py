"""Kinds of GPU, and the node labels that say which a node has.

- NVIDIA's GPU feature discovery writes `nvidia.com/gpu.product`: the driver's name of the device
  with dashes for spaces, and `-SHARED` behind it where a GPU is shared by time slicing:
  https://github.com/NVIDIA/k8s-device-plugin/blob/main/docs/gpu-feature-discovery/README.md
- Karpenter on EC2 writes `karpenter.k8s.aws/instance-gpu-name`, EC2's name of the GPU in small
  letters (`LabelInstanceGPUName`, module github.com/aws/karpenter-provider-aws v1.15.1,
  pkg/providers/instancetype/types.go); EKS Auto Mode `eks.amazonaws.com/instance-gpu-name`, the
  same way: https://docs.aws.amazon.com/eks/latest/userguide/create-node-pool.html
- Karpenter on AKS writes `karpenter.azure.com/sku-gpu-name` in capital letters:
  https://learn.microsoft.com/en-us/azure/aks/node-auto-provisioning-node-pools
"""

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

PRODUCT: Final = "nvidia.com/gpu.product"
_PRODUCTS: Final[Mapping[str, tuple[str, ...]]] = {
    "a10": ("NVIDIA-A10",),
    "a10g": ("NVIDIA-A10G",),
    "a40": ("NVIDIA-A40",),
    "a100": (
        "NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-SXM4-80GB",
        "NVIDIA-A100-PCIE-40GB", "NVIDIA-A100-80GB-PCIe",
    ),
    "b200": ("NVIDIA-B200",),
    "h100": ("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-PCIe", "NVIDIA-H100-NVL"),
    "h200": ("NVIDIA-H200", "NVIDIA-H200-NVL"),
    "l4": ("NVIDIA-L4",),
    "l40": ("NVIDIA-L40",),
    "l40s": ("NVIDIA-L40S",),
    "t4": ("Tesla-T4",),
    "v100": ("Tesla-V100-SXM2-16GB", "Tesla-V100-SXM2-32GB"),
}  # fmt: skip
KINDS: Final = tuple(_PRODUCTS)


@frozen
class ClassLabels:
    """The labels of one Karpenter provider's nodes."""

    gpu_name: str
    family: str
    spelled: Callable[[str], str]
    """How it writes the name of a GPU."""


CLASS_LABELS: Final[Mapping[str, ClassLabels]] = {
    "karpenter.k8s.aws": ClassLabels(
        "karpenter.k8s.aws/instance-gpu-name", "karpenter.k8s.aws/instance-family", str.lower
    ),
    "eks.amazonaws.com": ClassLabels(
        "eks.amazonaws.com/instance-gpu-name", "eks.amazonaws.com/instance-family", str.lower
    ),
    "karpenter.azure.com": ClassLabels(
        "karpenter.azure.com/sku-gpu-name", "karpenter.azure.com/sku-family", str.upper
    ),
}
"""By the group of a node class."""


def products(kind: str) -> list[str]:
    """Return the values of `nvidia.com/gpu.product` on nodes with GPUs of a kind."""
    return [name for product in _PRODUCTS[kind] for name in (product, f"{product}-SHARED")]
