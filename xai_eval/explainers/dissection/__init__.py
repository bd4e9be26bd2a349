"""Network dissection: find the concept that each unit of a layer responds to.

A unit is one channel of a layer. Two methods label it. CLIP-Dissect (Oikarinen and Weng, ICLR 2023) compares its
activations with CLIP's similarity of images and words: `similarity`, `by_clip`. Network Dissection (Bau, Zhou, Khosla,
Oliva and Torralba, CVPR 2017) compares where it is active with labels of pixels: `quantile`, `counts`, `netdissect`,
`by_pixels`.

The images, called the probe set, pass through the models once (`probe_pass`). What a pass collects can be merged
exactly: the images may be split into any number of shards, and the shards merged in any order.
"""
