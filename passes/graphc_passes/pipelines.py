"""Named pipelines: what `build` runs by default, and what a spec may name."""

PIPELINES = {
    "inference": ",".join(
        (
            "drop-dropout",
            "drop-identity",
            "fold-pad-into-conv",
            "fold-adaptive-norm-into-conv",
            "fold-batchnorm-into-conv",
            "fold-affine-into-conv",
        )
    ),
}
