"""Network dissection: what every unit of a layer has learned.

By CLIP (Oikarinen and Weng 2023, CLIP-Dissect): `similarity`. By pixel labels (Bau, Zhou, Khosla, Oliva and Torralba
2017, Network Dissection): `quantile`, `counts`, `netdissect`. What is gathered over images merges exactly: images may
be split into shards of any number, which are merged in any order.
"""
