"""Feeds of platforms: each header is as the platform's repository, documentation or specification has it; the
rows are our own, in its form."""

# ruff: noqa: E501 - headers and rows are as they are

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mmsearch.errors import CatalogError, RecordError
from mmsearch.ingest.item import Item
from mmsearch.products.catalog import Catalog
from mmsearch.products.feeds.feed import Feed
from mmsearch.products.feeds.preset import all_presets, named
from mmsearch.products.mapping.sources import alternatives
from mmsearch.products.reader import read_products
from mmsearch.products.record import Line, Product


class Records:
    """Records as a reader of JSON or XML yields them."""

    path = "feed"

    def __init__(self, *records: Any) -> None:
        self._records = records

    def __iter__(self) -> Iterator[Line]:
        for number, record in enumerate(self._records, 1):
            yield Line(number, json.dumps(record).encode())

    def share(self) -> float:
        return 0.0

    def close(self) -> None: ...


def read(
    source: Any, renames: dict[str, str] | None = None, preset: str | None = None
) -> tuple[list[Product], list[RecordError], list[str]]:
    said: list[str] = []
    with closing(Feed(source, renames, preset, said.append)) as feed:
        found = list(read_products(feed, renames))
    products = [each for _, each in found if isinstance(each, Product)]
    return products, [each for _, each in found if isinstance(each, RecordError)], said


def table(folder: Path, name: str, *lines: str) -> Catalog:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Catalog(str(folder / name))


SHOPIFY = (
    # Shopify Help Center, "Using CSV files to import and export products": the export's columns
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,"
    "Option2 Value,Option3 Name,Option3 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,"
    "Variant Inventory Qty,Variant Inventory Policy,Variant Fulfillment Service,Variant Price,"
    "Variant Compare At Price,Variant Requires Shipping,Variant Taxable,Variant Barcode,Image Src,Image Position,"
    "Image Alt Text,Gift Card,SEO Title,SEO Description,Google Shopping / Google Product Category,"
    "Google Shopping / Gender,Variant Image,Variant Weight Unit,Variant Tax Code,Cost per item,Status"
)


def shopify(**cells: str) -> str:
    columns = SHOPIFY.split(",")
    unknown = set(cells) - set(columns)
    assert not unknown
    return ",".join(f'"{cells.get(name, "")}"' for name in columns)


def test_shopify(tmp_path: Path) -> None:
    """The text is on the first row alone, options are named there alone, and a further picture is a row."""
    products, rejects, said = read(
        table(
            tmp_path,
            "products_export_1.csv",
            SHOPIFY,
            shopify(
                **{
                    "Handle": "wool-hoodie", "Title": "Wool hoodie", "Body (HTML)": "<p>Warm &amp; soft</p>",
                    "Vendor": "Nord", "Product Category": "Apparel & Accessories > Clothing", "Type": "Hoodie",
                    "Tags": "wool, winter", "Option1 Name": "Size", "Option1 Value": "S",
                    "Option2 Name": "Colour", "Option2 Value": "Red", "Variant SKU": "WH-S-R",
                    "Variant Price": "59.00", "Image Src": "https://cdn.test/red.jpg?v=1", "Image Position": "1",
                    "Variant Image": "https://cdn.test/red.jpg?v=1", "Status": "active",
                }
            ),
            shopify(
                **{
                    "Handle": "wool-hoodie", "Option1 Value": "L", "Option2 Value": "Blue",
                    "Variant SKU": "WH-L-B", "Variant Price": "49.50", "Image Src": "https://cdn.test/blue.jpg",
                    "Image Position": "2",
                }
            ),
            shopify(
                **{
                    "Handle": "mug", "Title": "Mug", "Vendor": "Nord", "Option1 Name": "Title",
                    "Option1 Value": "Default Title", "Variant Price": "9", "Image Src": "https://cdn.test/m.jpg",
                }
            ),
            shopify(**{"Handle": "wool-hoodie", "Image Src": "https://cdn.test/back.jpg", "Image Position": "3"}),
        )
    )  # fmt: skip
    assert not rejects
    hoodie, mug = products
    assert (hoodie.id, hoodie.title, hoodie.description) == ("wool-hoodie", "Wool hoodie", "Warm & soft")
    assert (hoodie.brand, hoodie.category) == (("Nord",), ("Apparel & Accessories > Clothing",))
    assert hoodie.price == 49.5
    assert [each.rpartition("/")[2] for each in hoodie.pictures] == ["red.jpg?v=1", "blue.jpg", "back.jpg"]
    assert hoodie.attributes["Size"] == ["S", "L"]
    assert hoodie.attributes["Colour"] == ["Red", "Blue"]
    assert hoodie.attributes["Variant SKU"] == ["WH-S-R", "WH-L-B"]
    assert hoodie.attributes["Tags"] == ["wool", "winter"]
    assert hoodie.attributes["Type"] == "Hoodie"
    assert (mug.title, mug.price, "Title" in mug.attributes) == ("Mug", 9, False)
    assert "is read as a feed of Shopify" in said[0]
    assert said[1] == "4 rows are 2 products with variants"


def test_shopifys_newer_template(tmp_path: Path) -> None:
    """product_template.csv, as Shopify's admin has it since 2024."""
    (cap,), rejects, said = read(
        table(
            tmp_path,
            "product_template.csv",
            "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,"
            "Barcode,Option1 name,Option1 value,Option1 Linked To,Price,Compare-at price,Cost per item,Charge tax,"
            "Inventory quantity,Product image URL,Image position,Image alt text,Variant image URL,Gift card",
            'Cap,red-cap,A <i>nice</i> cap,Nord,Apparel > Hats,Cap,"a, b",TRUE,Active,C-R,,Colour,Red,'
            "product.metafields.shopify.color-pattern,499,,,TRUE,20,https://s.test/r.jpg,1,,,FALSE",
            ",red-cap,,,,,,,,C-B,,,Blue,,450,,,TRUE,20,https://s.test/b.jpg,2,,,",
        )
    )
    assert not rejects
    assert (cap.id, cap.title, cap.description, cap.price) == ("red-cap", "Cap", "A nice cap", 450)
    assert (cap.category, cap.attributes["Colour"]) == (("Apparel > Hats",), ["Red", "Blue"])
    assert len(cap.pictures) == 2
    assert "Shopify" in said[0]


WOOCOMMERCE = (
    # woocommerce/woocommerce, plugins/woocommerce/sample-data/sample_products.csv
    'ID,Type,SKU,Name,Published,"Is featured?","Visibility in catalog","Short description",Description,'
    '"Date sale price starts","Date sale price ends","Tax status","Tax class","In stock?",Stock,'
    '"Backorders allowed?","Sold individually?","Weight (lbs)","Length (in)","Width (in)","Height (in)",'
    '"Allow customer reviews?","Purchase note","Sale price","Regular price",Categories,Tags,"Shipping class",'
    'Images,"Download limit","Download expiry days",Parent,"Grouped products",Upsells,Cross-sells,"External URL",'
    '"Button text",Position,"Attribute 1 name","Attribute 1 value(s)","Attribute 1 visible","Attribute 1 global"'
)


def test_woocommerce(tmp_path: Path) -> None:
    """Variations name their product by SKU, or by `id:` and its ID; commas separate pictures and categories."""
    products, rejects, said = read(
        table(
            tmp_path,
            "wc-product-export.csv",
            WOOCOMMERCE,
            "44,variable,woo-vneck,V-neck,1,1,visible,<b>Soft</b>,,,,taxable,,1,,0,0,.5,24,1,2,1,,,,"
            '"Clothing > T-shirts, Sale\\, now",,,"https://w.test/a.jpg, https://w.test/b.jpg",,,,,,,,,0,Colour,"Blue, Red",1,1',
            "46,simple,woo-cap,Cap,1,0,visible,,Warm,,,taxable,,1,,0,0,,,,,1,,16,18,Clothing > Caps,,,cap.jpg,,,,,,,,,0,,,,",
            "47,variation,woo-vneck-red,V-neck - Red,1,0,visible,,,,,taxable,,1,,0,0,,,,,1,,,20,,,,"
            "https://w.test/red.jpg,,,woo-vneck,,,,,,0,Colour,Red,,1",
            "48,variation,woo-vneck-blue,V-neck - Blue,1,0,visible,,,,,taxable,,1,,0,0,,,,,1,,,15.5,,,,,,,id:44,,,,,,0,Colour,Blue,,1",
            "49,variation,lost,Lost,1,0,visible,,,,,taxable,,1,,0,0,,,,,1,,,15.5,,,,,,,gone,,,,,,0,Colour,Blue,,1",
        )
    )
    shirt, cap = products
    assert (shirt.id, shirt.title, shirt.description, shirt.price) == ("woo-vneck", "V-neck", "Soft", 15.5)
    assert shirt.category == ("Clothing > T-shirts", "Sale, now")
    assert [each[-5:] for each in shirt.pictures] == ["a.jpg", "b.jpg", "d.jpg"]
    assert shirt.attributes["Colour"] == ["Blue", "Red"]
    assert shirt.attributes["variant_id"] == ["woo-vneck-red", "woo-vneck-blue"]
    assert "Attribute 1 visible" not in shirt.attributes
    assert (cap.id, cap.price, cap.category, cap.description) == ("woo-cap", 16, ("Clothing > Caps",), "Warm")
    (lost,) = rejects
    assert (lost.reason, lost.message) == (
        "no_parent",
        "expected the product 'gone' of the variant on line 6, got none; add its row",
    )
    assert "WooCommerce" in said[0]


def test_magento(tmp_path: Path) -> None:
    """The configurable product comes after its simple ones and lists them; a store view repeats its sku."""
    products, rejects, said = read(
        table(
            tmp_path,
            "export_catalog_product.csv",
            # magento/magento2, dev/tests/integration/testsuite/Magento/CatalogImportExport/Model/Import/_files/
            # import_configurable_product_multistore.csv, and the columns of an export beside them
            "sku,store_view_code,attribute_set_code,product_type,categories,product_websites,name,description,"
            "short_description,weight,product_online,tax_class_name,visibility,price,special_price,url_key,base_image,"
            "additional_images,additional_attributes,configurable_variations,configurable_variation_labels,qty",
            "H-XS,,Top,simple,Default Category/Men/Hoodies,base,Hoodie-XS,,,1,1,Taxable Goods,"
            'Not Visible Individually,52.0000,,hoodie-xs,/h/1/h-xs.jpg,,"color=Black,size=XS",,,3',
            "H-S,,Top,simple,Default Category/Men/Hoodies,base,Hoodie-S,,,1,1,Taxable Goods,"
            'Not Visible Individually,51.5000,,hoodie-s,/h/1/h-s.jpg,,"color=Black,size=S",,,3',
            'H,,Top,configurable,"Default Category/Men/Hoodies,Default Category/Sale",base,Hoodie,<p>Warm.</p>,,1,1,'
            'Taxable Goods,"Catalog, Search",0.0000,,hoodie,/h/1/h.jpg,"/h/1/h.jpg,/h/1/back.jpg",'
            '"activity=Gym|Yoga,material=Cotton, soft","sku=H-XS,size=XS|sku=H-S,size=S",size=Size,0',
            "H,german,Top,configurable,,base,Kapuzenpullover,,,,,,,,,,,,,,,",
            'M,,Bag,simple,Default Category/Gear,base,Mug,,,1,1,,"Catalog, Search",9,7.5,mug,no_selection,,,,,1',
        )
    )
    assert not rejects
    hoodie, mug = products
    assert (hoodie.id, hoodie.title, hoodie.description, hoodie.price) == ("H", "Hoodie", "Warm.", 51.5)
    assert hoodie.category == ("Default Category > Men > Hoodies", "Default Category > Sale")
    assert hoodie.pictures == ("/h/1/h.jpg", "/h/1/back.jpg", "/h/1/h-xs.jpg", "/h/1/h-s.jpg")
    assert hoodie.attributes["size"] == ["XS", "S"]
    assert hoodie.attributes["activity"] == ["Gym", "Yoga"]
    assert hoodie.attributes["material"] == "Cotton, soft"
    assert hoodie.attributes["variant_id"] == ["H-XS", "H-S"]
    assert "Kapuzenpullover" in hoodie.attributes["variant_title"]
    assert (mug.id, mug.price, mug.pictures) == ("M", 7.5, ())
    assert said[1] == "5 rows are 2 products with variants"


@pytest.mark.parametrize(
    "header",
    [
        # Google Merchant Center Help, "Product data specification": the names of attributes, and those of its
        # template for spreadsheets, which has blanks in them
        "id\ttitle\tdescription\tlink\timage_link\tadditional_image_link\tavailability\tprice\tsale_price\tbrand\t"
        "google_product_category\tproduct_type\titem_group_id\tcolor",
        "id\ttitle\tdescription\tlink\timage link\tadditional image link\tavailability\tprice\tsale price\tbrand\t"
        "google product category\tproduct type\titem group id\tcolor",
    ],
)
def test_google_merchant_as_a_table(tmp_path: Path, header: str) -> None:
    products, rejects, said = read(
        table(
            tmp_path,
            "google.tsv",
            header,
            "A-1\tDress\tRed dress\thttps://g.test/a\thttps://g.test/a.jpg\thttps://g.test/b.jpg,https://g.test/c,1.jpg"
            "\tin_stock\t59.90 EUR\t49.90 EUR\tNord\t2271\tHome > Women > Dresses\tA\tred",
            "A-2\tDress\tBlue dress\thttps://g.test/b\thttps://g.test/d.jpg\t\tin_stock\t59.90 EUR\t\tNord\t2271\t"
            "Home > Women > Dresses\tA\tblue",
        )
    )
    assert not rejects
    red, blue = products
    assert (red.price, red.currency, red.group, blue.price, blue.group) == (49.9, "EUR", "A", 59.9, "A")
    assert red.pictures == ("https://g.test/a.jpg", "https://g.test/b.jpg", "https://g.test/c,1.jpg")
    assert red.category == ("Home > Women > Dresses",)
    assert (red.attributes["color"], red.attributes["google_product_category"]) == ("red", "2271")
    assert "Google Merchant" in said[0]


def test_google_merchant_as_rss() -> None:
    """As its XML specification has it: elements with the prefix `g:`, beside RSS's own."""
    item = {
        "title": "Dress", "link": "https://g.test/a", "description": "<p>Red</p>", "g:id": "A-1",
        "g:image_link": "https://g.test/a.jpg", "g:price": "1,299.00 USD", "g:availability": "in stock",
        "g:additional_image_link": ["https://g.test/b.jpg", "https://g.test/c.jpg"], "g:brand": "Nord",
        "g:product_type": ["Women &gt; Dresses", "Sale"], "g:item_group_id": "A",
        "g:shipping": {"g:country": "US", "g:price": "5 USD"},
    }  # fmt: skip
    (dress,), rejects, said = read(Records(item))
    assert not rejects
    assert (dress.id, dress.description, dress.price, dress.currency) == ("A-1", "Red", 1299, "USD")
    assert len(dress.pictures) == 3
    assert dress.category == ("Women > Dresses", "Sale")
    assert "Google Merchant" in said[0]


def test_meta(tmp_path: Path) -> None:
    (mug,), rejects, said = read(
        table(
            tmp_path,
            "catalog_products.csv",
            "# Required | A unique ID, such as the SKU. Limit: 100,# Required | A specific, relevant title,# Required | x",
            # the template of Meta's Commerce Manager
            "id,title,description,availability,condition,price,link,image_link,brand,google_product_category,"
            "fb_product_category,quantity_to_sell_on_facebook,sale_price,sale_price_effective_date,item_group_id,gender,"
            "color,size,age_group,material,pattern,shipping,shipping_weight,video[0].url,video[0].tag[0],gtin,"
            "product_tags[0],product_tags[1],style[0]",
            "M-1,Mug,A mug,in stock,new,9.99 USD,https://m.test/1,https://m.test/1.jpg,Nord,"
            "Home & Garden > Kitchen & Dining,home > kitchen,75,,,M,unisex,blue,,,,,,,,,,gift,,",
        )
    )
    assert not rejects
    assert (mug.id, mug.price, mug.currency, mug.group) == ("M-1", 9.99, "USD", "M")
    assert mug.category == ("Home & Garden > Kitchen & Dining",)
    assert (mug.attributes["product_tags[0]"], mug.attributes["color"]) == ("gift", "blue")
    assert "Meta" in said[0]


def test_algolia() -> None:
    """algolia/datasets, ecommerce/records.json and small/variants_colors.json: the keys of their records."""
    (phone, shirt), rejects, said = read(
        Records(
            {
                "name": "Phone", "description": "It rings.", "brand": "Nord", "categories": ["Phones", "Cell"],
                "hierarchicalCategories": {"lvl0": "Phones", "lvl1": "Phones > Cell"}, "type": "Unlocked",
                "price": 99.5, "price_range": "50 - 100", "image": "https://a.test/1.jpg", "url": "https://a.test",
                "free_shipping": True, "popularity": 21469, "rating": 4, "objectID": "5477500",
            },
            {"objectID": "shirt-blue", "name": "shirt", "model": "A", "color": "blue", "image_slug": "blue.png"},
        )
    )  # fmt: skip
    assert not rejects
    assert (phone.id, phone.title, phone.price, phone.brand) == ("5477500", "Phone", 99.5, ("Nord",))
    assert phone.category == ("Phones > Cell",)
    assert (phone.attributes["type"], phone.attributes["rating"]) == ("Unlocked", 4)
    assert (shirt.id, shirt.pictures, shirt.attributes["color"]) == ("shirt-blue", ("blue.png",), "blue")
    assert "Algolia" in said[0]


def test_commercetools() -> None:
    """The HTTP API's ProductProjection: texts by language, prices in cents, attributes as a list."""

    def variant(number: int, cents: int, colour: str) -> dict[str, Any]:
        value = {"type": "centPrecision", "currencyCode": "EUR", "centAmount": cents, "fractionDigits": 2}
        return {
            "id": number, "sku": f"SKU-{number}", "prices": [{"id": "p", "value": value, "country": "DE"}],
            "images": [{"url": f"https://c.test/{number}.jpg", "dimensions": {"w": 1, "h": 1}}],
            "attributes": [
                {"name": "colour", "value": {"key": colour, "label": colour.title()}},
                {"name": "size", "value": "m"},
            ],
        }  # fmt: skip

    projection = {
        "id": "9f", "key": "sofa", "version": 3, "productType": {"typeId": "product-type", "id": "x"},
        "name": {"en": "Sofa", "de": "Sofa, weich"}, "description": {"en": "Soft", "de": "Weich"},
        "categories": [{"typeId": "category", "id": "c", "obj": {"name": {"en": "Living room"}}}],
        "masterVariant": variant(1, 4299, "red"), "variants": [variant(2, 3999, "blue")], "published": True,
    }  # fmt: skip
    product = {
        "id": "7",
        "masterData": {"current": {"name": {"en": "Mug"}, "masterVariant": variant(3, 100, "red")}},
    }
    products, rejects, said = read(Records({"results": [projection], "count": 1}, product))
    assert not rejects
    sofa, mug = products
    assert (sofa.id, sofa.title, sofa.attributes["title_de"]) == ("9f", "Sofa", "Sofa, weich")
    assert (sofa.price, sofa.currency, sofa.category) == (39.99, "EUR", ("Living room",))
    assert sofa.pictures == ("https://c.test/1.jpg", "https://c.test/2.jpg")
    assert (sofa.attributes["colour"], sofa.attributes["size"]) == (["Red", "Blue"], "m")
    assert (mug.title, mug.price, mug.pictures) == ("Mug", 1, ("https://c.test/3.jpg",))
    assert "commercetools" in said[0]


def test_akeneo_as_a_table(tmp_path: Path) -> None:
    (hoodie,), rejects, said = read(
        table(
            tmp_path,
            "1_products_export.csv",
            # akeneo/pim-community-dev, the expected exports of its integration tests: semicolons, and the locale,
            # the scope and the currency behind the name of an attribute
            "uuid;sku;categories;enabled;family;parent;groups;name-en_US;name-fr_FR;description-en_US-ecommerce;"
            "image;price-EUR;price-USD;weight;weight-unit",
            "8df9e79b-f95e-44a5-8b56-d961f2b34f08;H-1;winter_collection,hoodies;1;clothing;H;;Hoodie;Sweat;<p>Warm</p>;"
            "files/H-1/image/akeneo.jpg;39.90;45.00;500;GRAM",
        )
    )
    assert not rejects
    assert (hoodie.id, hoodie.title, hoodie.description) == ("H-1", "Hoodie", "Warm")
    assert hoodie.attributes["title_fr"] == "Sweat"
    assert (hoodie.price, hoodie.currency, hoodie.group) == (39.9, "EUR", "H")
    assert (hoodie.category, hoodie.pictures) == (
        ("winter_collection", "hoodies"),
        ("files/H-1/image/akeneo.jpg",),
    )
    assert (hoodie.attributes["price-USD"], hoodie.attributes["family"]) == ("45.00", "clothing")
    assert "Akeneo" in said[0]


def test_akeneo_as_json() -> None:
    """The REST API's product: values by attribute, each with locale, scope and data."""

    def values(**several: Any) -> dict[str, Any]:
        return {name: [{"locale": None, "scope": None, "data": data}] for name, data in several.items()}

    (hoodie,), rejects, said = read(
        Records(
            {
                "uuid": "25", "identifier": "H-1", "enabled": True, "family": "clothing", "parent": None,
                "categories": ["hoodies", "winter"], "groups": [], "created": "2024-06-14T13:12:50+02:00",
                "values": {
                    **values(
                        price=[{"amount": "39.90", "currency": "EUR"}, {"amount": "45", "currency": "USD"}],
                        image="8/7/5/3/hoodie.jpg",
                        size="m",
                    ),
                    "name": [
                        {"data": "Hoodie", "locale": "en_US", "scope": None},
                        {"data": "Sweat", "locale": "fr_FR", "scope": None},
                    ],
                    "description": [{"data": "Warm", "locale": "en_US", "scope": "ecommerce"}],
                },
            }
        )
    )  # fmt: skip
    assert not rejects
    assert (hoodie.id, hoodie.title, hoodie.description) == ("H-1", "Hoodie", "Warm")
    assert (hoodie.price, hoodie.currency, hoodie.category) == (39.9, "EUR", ("hoodies", "winter"))
    assert (hoodie.pictures, hoodie.attributes["size"]) == (("8/7/5/3/hoodie.jpg",), "m")
    assert hoodie.attributes["title_fr"] == "Sweat"
    assert "Akeneo" in said[0]


def test_schema_org() -> None:
    """schema.org/Product and Google's structured data for merchant listings: offers, a graph, pictures as text or
    ImageObject."""
    (anvil, lamp), rejects, said = read(
        Records(
            {
                "@context": "https://schema.org/", "@type": "Product", "sku": "0446310786", "name": "Anvil",
                "image": ["https://s.test/1x1.jpg", {"@type": "ImageObject", "url": "https://s.test/4x3.jpg"}],
                "description": "Heavy", "brand": {"@type": "Brand", "name": "Nord"}, "category": "Tools > Anvils",
                "offers": {"@type": "Offer", "priceCurrency": "USD", "price": 119.99, "availability": "InStock"},
            },
            {
                "@context": "https://schema.org",
                "@graph": [
                    {"@type": "WebPage", "name": "About us"},
                    {
                        "@type": ["Product", "IndividualProduct"], "@id": "https://s.test/lamp#p", "name": "Lamp",
                        "image": "https://s.test/lamp.jpg", "inProductGroupWithID": "lamps",
                        "offers": [
                            {"@type": "Offer", "price": "1,299.00", "priceCurrency": "EUR"},
                            {"@type": "Offer", "price": "999.00", "priceCurrency": "EUR"},
                        ],
                    },
                ],
            },
        )
    )  # fmt: skip
    assert not rejects
    assert (anvil.id, anvil.title, anvil.brand, anvil.price) == ("0446310786", "Anvil", ("Nord",), 119.99)
    assert anvil.pictures == ("https://s.test/1x1.jpg", "https://s.test/4x3.jpg")
    assert (anvil.currency, anvil.category) == ("USD", ("Tools > Anvils",))
    assert anvil.attributes["offers"]["availability"] == "InStock"
    assert (lamp.id, lamp.price, lamp.currency, lamp.group) == ("https://s.test/lamp#p", 999, "EUR", "lamps")
    assert said[1] == "left out of feed as no products: 1 entry"


@pytest.mark.parametrize("form", ["tsv", "jsonl"])
def test_open_food_facts(tmp_path: Path, form: str) -> None:
    # openfoodfacts, data-fields.txt: the columns of the export, which is separated by tabulators
    record = {
        "code": "0000101209159", "url": "http://world-en.openfoodfacts.org/product/0000101209159", "creator": "k",
        "created_t": "1489055331", "product_name": "Spread", "generic_name": "Nut spread", "quantity": "350 g",
        "brands": "Bovetti,Nord", "categories": "Spreads, Nut butters", "countries_en": "France",
        "image_url": "https://images.openfoodfacts.org/images/products/front_fr.4.400.jpg", "sugars_100g": "32",
    }  # fmt: skip
    if form == "tsv":
        source: Any = table(tmp_path, "off.tsv", "\t".join(record), "\t".join(record.values()))
    else:
        source = Records(record)
    (spread,), rejects, said = read(source)
    assert not rejects
    assert (spread.id, spread.title, spread.description) == ("0000101209159", "Spread", "Nut spread")
    assert (spread.brand, spread.category) == (("Bovetti", "Nord"), ("Spreads", "Nut butters"))
    assert len(spread.pictures) == 1
    assert spread.attributes["sugars_100g"] == "32"
    assert "Open Food Facts" in said[0]


def test_a_plain_catalog_is_read_as_it_is() -> None:
    for record in (
        {"id": "1", "title": "Chair", "price": 3, "image": "a.jpg", "colour": "red"},
        {"sku": "1", "name": "Chair", "categories": ["Seats"]},
        {"id": "1", "title": "Chair", "link": "https://x.test"},
    ):
        source = Records(record)
        feed = Feed(source)
        assert [line.raw for line in feed] == [json.dumps(record).encode()]
        assert feed.preset is None


def test_map_wins_over_a_preset_and_none_turns_it_off() -> None:
    record = {"objectID": "1", "name": "a", "label": "b"}
    assert read(Records(record), {"title": "label"})[0][0].title == "b"
    products, rejects, said = read(Records(record), {"id": "objectID"}, "none")
    assert (products[0].title, rejects, said) == ("", [], [])
    with pytest.raises(CatalogError, match="did you mean label"):
        read(Records(record), {"title": "lable"})


def test_a_preset_may_be_a_copy(tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    copy.write_text('name = "Mine"\n[fields]\nid = "nr"\ntitle = "text+more"\n[rows]\nkey = "nr"\n')
    products, rejects, _ = read(
        Records({"nr": 1, "text": "a", "more": "b"}, {"nr": 2, "text": "c"}, {"nr": 1, "colour": "red"}),
        preset=str(copy),
    )
    assert [(each.id, each.title, each.attributes) for each in products] == [
        ("1", "a b", {"colour": "red"}),
        ("2", "c", {}),
    ]
    assert not rejects


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "expected a preset in"),
        ('name = "x"\nfound = []\n[fields]\ntitel = "a"\n', "got 'titel'"),
        ('name = "x"\n[fields]\nid = "a"\n[patterns]\n"(" = "title"\n', "expected a preset in"),
        ('name = "x"\n[fields]\nid = 3\n', "expected a preset in"),
        ('name = "x"\nfields = "id"\n', "expected a preset in"),
        ('name = "x"\nrows = 3\n[fields]\nid = "a"\n', "expected a preset in"),
        ('name = "x"\nsurprise = 1\n[fields]\nid = "a"\n', "expected a preset in"),
    ],
)
def test_a_preset_that_is_none_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(CatalogError) as caught:
        named(str(tmp_path / "p.toml"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_is_one_sentence() -> None:
    with pytest.raises(CatalogError, match=r"a file or one of akeneo, algolia, .*, none, got 'shopware'"):
        named("shopware")
    assert len(all_presets()) == 11


def test_broken_lines_of_a_feed_stay_rejects() -> None:
    source = Records({"objectID": "1", "name": "a"})
    lines = [*source, Line(2, b"{"), Line(3, b"x", ("wrong_columns", "expected 3 columns")), *source]

    class Broken(Records):
        def __iter__(self) -> Iterator[Line]:
            return iter(lines)

    products, rejects, _ = read(Broken())
    assert len(products) == 2
    assert [each.reason for each in rejects] == ["not_json", "wrong_columns"]


def test_rows_that_are_variants_of_each_other_are_rejected_and_not_lost() -> None:
    row = {"Type": "variation", "Name": "x", "Regular price": "1"}
    products, rejects, _ = read(
        Records(
            {**row, "SKU": "a", "Parent": "b"}, {**row, "SKU": "b", "Parent": "a"},
            {**row, "SKU": "c", "Parent": "c"}, {**row, "SKU": "d"},
        )
    )  # fmt: skip
    assert [each.id for each in products] == ["d"]
    assert [each.reason for each in rejects] == ["no_parent"] * 3


def test_many_rows_keep_every_product_in_order() -> None:
    rows = [
        {
            "Handle": f"h{n % 5000}",
            "Title": f"t{n}" if n < 5000 else "",
            "Variant Price": str(n),
            "Image Src": f"{n}.jpg",
        }
        for n in range(20_000)
    ]
    products, rejects, _ = read(Records(*rows))
    assert [each.id for each in products] == [f"h{n}" for n in range(5000)]
    assert not rejects
    assert products[7].pictures == ("7.jpg", "5007.jpg", "10007.jpg", "15007.jpg")
    assert products[7].price == 7


@pytest.mark.parametrize("name", all_presets())
def test_random_records_raise_nothing_but_record_errors(name: str) -> None:
    chance = random.Random(name)
    preset = all_presets()[name]
    paths = [
        path
        for each in (
            *preset.found,
            *(split for source in preset.fields.values() for split in alternatives(source)),
        )
        for path in each
    ]
    names = sorted(
        {part for path in paths for part in path.partition("~")[0].split(".")}
        | {"_delete", "id", "attributes", "x", ""}
    )
    texts = [
        "",
        "a",
        "1,2",
        "a=b,c=d|e",
        "sku=a|sku=b",
        "5 €",
        "A > B",
        "<p>x",
        "https://x/a.jpg, b",
        "id:1",
        "\x00",
        "#",
    ]

    def value(depth: int) -> Any:
        kind = chance.randrange(7 if depth else 5)
        if kind == 5:
            return [value(depth - 1) for _ in range(chance.randrange(3))]
        if kind == 6:
            return record(depth - 1)
        return (None, chance.random() * 1e9, True, chance.choice(texts), chance.randrange(-9, 9**20))[kind]

    def record(depth: int) -> dict[str, Any]:
        return {chance.choice(names): value(depth) for _ in range(chance.randrange(8))}

    for _ in range(60):
        records = [record(4) for _ in range(12)]
        products, rejects, _ = read(Records(*records), preset=name)
        assert all(each.message.startswith("expected ") for each in rejects)
        for each in products:
            Item.of(Line(1, b""), each).document()


def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path: Path) -> None:
    """Open Food Facts quotes nothing; a quoted cell of several lines stays one."""
    products, rejects, _ = read(
        table(
            tmp_path,
            "off.tsv",
            "code\tproduct_name\tbrands\tcategories",
            '1\t"Bio Milch\tx\ta',
            "2\tB\ty\tb",
            '3\t"Super" cereals\tz\tc',
            '4\t12" pan\tz\tc',
            '5\t"two',
            'lines"\tz\tc',
            '6\tLast\tz\t"open',
        )
    )
    assert not rejects
    assert [(each.id, each.title, each.brand) for each in products] == [
        ("1", '"Bio Milch', ("x",)),
        ("2", "B", ("y",)),
        ("3", "Super cereals", ("z",)),
        ("4", '12" pan', ("z",)),
        ("5", "two\nlines", ("z",)),
        ("6", "Last", ("z",)),
    ]
    assert products[5].category == ('"open',)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        # algolia/algoliasearch-magento-2: prices by currency, categories by level
        (
            {
                "objectID": "7", "name": "Bag", "price": {"USD": {"default": 34.5, "default_formated": "$34.50"}},
                "categories": {"level0": ["Gear"], "level1": ["Gear /// Bags"]}, "image_url": "//m.test/b.jpg",
            },
            Product(1, "7", "Bag", category=("Gear > Bags",), price=34.5, pictures=("//m.test/b.jpg",)),
        ),
        # Yoast's graph: the picture and the brand are other nodes
        (
            {
                "@type": "Product", "@id": "https://y.test/#product", "name": "Bag", "sku": "b",
                "image": {"@id": "https://y.test/#primaryimage"}, "brand": {"@id": "https://y.test/#brand"},
            },
            Product(1, "b", "Bag"),
        ),
        # Akeneo's API by UUID: the identifier is an attribute
        (
            {"uuid": "u", "family": "f", "values": {"sku": [{"data": "s", "locale": None, "scope": None}]}},
            Product(1, "s"),
        ),
        # Open Food Facts' JSON Lines
        (
            {"code": "1", "product_name": "", "product_name_en": "Jam", "creator": "k", "created_t": 1,
             "categories_tags": ["en:jams"], "brands": "A"},
            Product(1, "1", "Jam", category=("en:jams",), brand=("A",)),
        ),
    ],
)  # fmt: skip
def test_forms_of_records_that_other_versions_have(record: dict[str, Any], expected: Product) -> None:
    (found,), rejects, _ = read(Records(record))
    assert not rejects
    assert dataclasses.replace(found, attributes={}) == expected


def test_options_and_attributes_may_have_the_names_of_columns(tmp_path: Path) -> None:
    rows = ("Handle,Title,Type,Option1 Name,Option1 Value,Variant Price", "mug,Mug,Kitchen,Type,Large,5")
    (mug,), _, _ = read(table(tmp_path, "export.csv", *rows))
    assert (mug.category, mug.attributes) == (("Kitchen",), {"option_Type": "Large"})
    variant = {"sku": "1", "attributes": [{"name": "name", "value": "x"}, {"name": "size", "value": "m"}]}
    (sofa,), rejects, _ = read(Records({"id": "9", "name": {"en": "Sofa"}, "masterVariant": variant}))
    assert not rejects
    assert (sofa.title, sofa.attributes["attribute_name"], sofa.attributes["size"]) == ("Sofa", "x", "m")
