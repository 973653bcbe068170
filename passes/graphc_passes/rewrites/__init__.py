"""The rewrites that ship with graphc: one per file, by family.

What the algebra allows and no rewrite does, and why not:

- *Crop-free sub-pixel form* of a transposed convolution (the kernel padded with zeros until no crop is left): it costs
  up to (s·⌈(k + s − 1)/s⌉/k)ⁿ times the multiplications, 2.25 for kernel 4, stride 2, and was the slowest form
  wherever it was measured; `replace-conv-transpose-with-subpixel-conv` crops.
- *Kernel = stride as a 1x1 convolution* needs no rewrite of its own: it is what the sub-pixel form makes of it.
- *Linear or cubic Resize, then a padded convolution, as one convolution*: the border rows differ from the inner ones;
  each alone has its forms.
- *Low-rank filters* (truncated SVD, Tucker, CP) lose accuracy that only data can judge; `split-separable-conv` takes
  what is exact.
- *FFT convolution*: the DFT operator is uncosted, and no size is known from which ONNX Runtime's pays.
- *Octave convolution* is pools, Resizes and four convolutions: the families of pooling and resampling take them up.
- *Partial convolution*: under a constant mask its ratio is a constant, which `fold-constants` folds; under a mask that
  is data nothing is gained. A partial convolution over some channels (FasterNet) is cheapest as it is.
- *Involution and local attention* have no constant filter, so no convolution is cheaper.
- *Complex, quaternion and equivariant convolutions* have no operator in ONNX: exports are dense real ones already.
- *Locally connected layers* are exported as products of matrices; a grouped 1x1 convolution over unfolded patches
  becomes one by `replace-grouped-pointwise-conv-with-matmul`.
- *Conditional convolutions with one mixture for each image of a batch*: only one mixture for the whole batch is a sum
  of experts.
- *RoiAlign* by maximum is not linear in its data, and with `sampling_ratio=0` has no static form; *ImageDecoder*
  reads files.
- *A deformable convolution with constant offsets* as a sparse one: no exporter writes it; the gathers are right for
  them, too.
- *Bias in front of GroupNormalization*: with one group per channel it is dead, as before InstanceNormalization, but
  ONNX computes that norm in another type than float64, so that the law cannot be held to it.
"""
