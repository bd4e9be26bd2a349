"""The library called plainly: the reference for every fast path, which the benchmark uses, too."""

from xai_eval.bench.stock_cams import StockMaps, stock_maps

__all__ = ["StockMaps", "stock_maps"]
