"""Phantom `clevr_seg`: photographs of cubes, spheres and cylinders, with answers to questions of where and of what kind.

After CLEVR (Johnson et al., CVPR 2017) and CLEVR-Seg (Jacenków et al., MICCAI 2020), rendered by rays in numpy. What each number is,
and what is unlike the original: docs/phantoms.md.

`layout` draws what stands where; `bodies` and `renderer` make pictures of it; `scene` keeps the rules and answers; `dataset` writes.
"""
