"""Named pipelines: what `build` runs by default, and what a spec may name."""

# What does nothing, and what a compiler can compute.
CLEAN = (
    "drop-dropout",
    "drop-identity",
    "fold-constants",
    "drop-cast-to-same-type",
    "drop-concat-of-one",
    "drop-empty-pad",
    "drop-expand-to-same-shape",
    "drop-multiplication-by-one",
    "drop-reshape-to-same-shape",
    "drop-resize-by-one",
    "drop-whole-slice",
    "fuse-reshapes",
    "fuse-transposes",
    "fuse-pads",
)

# What ONNX Runtime's CPU provider refuses or gets wrong in any of its forms.
LEGAL = (
    "replace-auto-pad-with-pads",
    "replace-conv-integer-zero-points-with-sum",
    "replace-double-conv-with-matmul",
)

# What lives on in the constants or attributes of a neighbour.
FOLD = (
    "fold-pad-into-conv",
    "fold-pad-into-pool",
    "fold-adaptive-norm-into-conv",
    "fold-batchnorm-into-conv",
    "fold-batchnorm-into-next-conv",
    "fuse-affines",
    "fold-affine-into-conv",
    "fold-affine-into-gemm",
    "fold-scale-through-relu-into-conv",
    "fold-constant-channels-into-conv",
    "fold-slice-into-conv",
    "fold-crop-into-conv-transpose",
    "drop-zero-taps-from-conv-transpose",
)

# Linear operators as fewer ones, and in the cheaper order.
MERGE = (
    "fuse-concatenated-convs",
    "fuse-consecutive-convs",
    "fuse-parallel-convs",
    "fuse-resizes",
    "move-average-pool-above-pointwise-conv",
    "move-pointwise-conv-above-average-pool",
    "move-pointwise-conv-above-resize",
    "move-pointwise-conv-below-resize",
)

# Forms for which ONNX Runtime's CPU provider has the faster kernels.
FAST = (
    "replace-channel-shuffle-with-gather",
    "move-channel-gather-below-pointwise",
    "fold-channel-gather-into-conv",
    "split-channel-gather",
    "replace-upsampled-conv-with-phase-convs",
    "replace-resize-with-matmul{only=cubic+antialias+linear-5d+nearest-5d,largest=128}",
    "replace-resize-with-matmul{only=linear,largest=32}",
    "replace-resize-with-depthwise-conv{only=cubic}",
    "replace-depthwise-multiplier-with-gather",
    "replace-grouped-conv-with-coarser-groups",
    "replace-conv3d-with-conv2d{fewest-channels=16,fewest-taps=2}",
    "replace-narrow-conv-with-output-blocking{most-outputs=1}",
    "replace-narrow-conv-with-row-split",
    "replace-conv-with-fast-fir",
)

# What it refuses or gets wrong in some forms that these do not tell from others.
WARY = (
    "replace-roi-align-with-matmul",
    "replace-deform-conv-with-gathers",
    "replace-resize-with-matmul{only=cubic-3d+cubic-5d+cubic-channels+linear-channels+align_corners}",
)

# Every fancy convolution as dense ones, in an order in which each step leaves work only for those behind it.
DENSE = (
    "replace-auto-pad-with-pads",
    "replace-conv-transpose-with-conv",
    "replace-conv-transpose-with-subpixel-conv",
    "replace-conv-transpose-with-phase-convs",
    "replace-deform-conv-with-gathers",
    "replace-upsampled-conv-with-phase-convs",
    "replace-resize-with-matmul",
    "replace-resize-with-depthwise-conv",
    "replace-dilated-conv-with-slice",
    "replace-dilated-conv-with-space-to-batch",
    "replace-depthwise-conv-with-taps",
    "split-grouped-conv",
)

# Composite operators, and those that only move elements, in elementary ones.
ELEMENTARY = (
    "replace-batchnorm-with-affine",
    "replace-instance-norm-with-reductions",
    "replace-layer-norm-with-reductions",
    "replace-lrn-with-average-pool",
    "replace-gru-with-matmuls",
    "replace-roi-align-with-matmul",
    "replace-channel-shuffle-with-gather",
    "fold-channel-gather-into-conv",
    "replace-gather-with-slices",
    "replace-gather-with-one-hot-matmul",
    "replace-depth-to-space-with-reshape",
    "replace-split-with-slices",
    "replace-flatten-with-reshape",
)

PIPELINES = {
    "inference": ",".join((*CLEAN, *LEGAL, *FOLD, *MERGE, *FAST)),
    "legal": ",".join((*LEGAL, *WARY)),
    "portable": ",".join((*CLEAN, *FOLD, *DENSE, *ELEMENTARY, "fold-constants")),
    "canonical": ",".join((*CLEAN, *FOLD, *DENSE)),
}
