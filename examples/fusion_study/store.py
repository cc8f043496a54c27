"""The software store as a collection for a study: applications with an icon, and the keywords they share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sample_data import software
from sample_data.groups import difference_hash, groups
from sample_data.openclipart import HASHED_SIZE, Clipart, Collection

from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame, PictureError
from mmsearch.training.pairs import Say, read_products


def store(cache: Path, folder: Path, say: Say) -> Collection:
    """Every application with an icon, its text as it is indexed, without its keywords; `folder` gets the
    catalog and the icons.

    No product is ignored for a query: that a keyword stands in the text is what text towers may use. Names of
    the same stems, series such as LibreOffice's, and icons that are near-duplicates stay on one side. 55 of
    1,244 applications still have another one of their package on the other side.
    """
    catalog = software.write_catalog(folder, cache, keywords=False)
    every = {each.identifier: each for each in software.applications(cache)}
    products, hashes = [], []
    for product in read_products(catalog, say=say):
        if not isinstance(product.picture, Path):
            continue
        try:
            pixels = decode(product.picture.read_bytes(), Frame(HASHED_SIZE))
        except PictureError as error:
            say(f"{product.identifier} is left out: {error}")
            continue
        keywords = tuple(sorted(every[product.identifier].searched_by(software.ENGLISH)))
        products.append(Clipart(product.identifier, product.text, keywords, product.picture))
        hashes.append(difference_hash(Image.fromarray(pixels)))
    place = {product.identifier: number for number, product in enumerate(products)}
    asked = software.queries(list(every.values()))
    shared = {keyword: [place[name] for name in right if name in place] for keyword, right in asked.items()}
    relevant = {keyword: right for keyword, right in shared.items() if right}
    packages = [every[product.identifier].package.split("-")[0] for product in products]
    names = [every[product.identifier].names[software.ENGLISH] for product in products]
    group = groups([*map(" ".join, zip(packages, names, strict=True))], packages, np.array(hashes))
    return Collection(products, group, relevant, {keyword: [] for keyword in relevant}, np.array(hashes))
