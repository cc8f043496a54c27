"""The names of colours in the languages of shops."""

from __future__ import annotations

from collections.abc import Sequence

from mmsearch.images.colours.dominant import NAMES

# In the order of NAMES: red, orange, yellow, green, blue, purple, pink, brown, beige, turquoise, black, grey,
# white. The stemmers of the index lead inflected forms to these.
_WORDS = {
    "de": "rot orange gelb grün blau lila rosa braun beige türkis schwarz grau weiß",
    "fr": "rouge orange jaune vert bleu violet rose marron beige turquoise noir gris blanc",
    "es": "rojo naranja amarillo verde azul morado rosa marrón beige turquesa negro gris blanco",
    "it": "rosso arancione giallo verde blu viola rosa marrone beige turchese nero grigio bianco",
    "nl": "rood oranje geel groen blauw paars roze bruin beige turquoise zwart grijs wit",
    "pt": "vermelho laranja amarelo verde azul roxo rosa castanho bege turquesa preto cinza branco",
    "pt-br": "vermelho laranja amarelo verde azul roxo rosa marrom bege turquesa preto cinza branco",
    "ru": "красный оранжевый жёлтый зелёный синий фиолетовый розовый коричневый бежевый бирюзовый чёрный "
    "серый белый",
    "ja": "赤 オレンジ 黄 緑 青 紫 ピンク 茶 ベージュ ターコイズ 黒 灰 白",
}


def in_language(colours: Sequence[str], language: str) -> tuple[str, ...]:
    """Return names of `dominant_colours` in the language, by its code; in English if there are none of it."""
    words = _WORDS[language].split() if language in _WORDS else NAMES
    return tuple(words[NAMES.index(colour)] for colour in colours)
