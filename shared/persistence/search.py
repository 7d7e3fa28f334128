"""Search by a part of what is stored, whatever forms both have: width, case, dots, dashes, brackets, spaces."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import ARRAY


def search_key(text: Any) -> sa.ColumnElement[str]:
    """Give the form in which texts are compared: what shared.values.text.search makes of them, in lower case."""
    return sa.func.search_key(text, type_=sa.Text)


def characters(text: Any) -> sa.ColumnElement[list[str]]:
    """Split a text's key into an array of its characters, as the indexes for search by part of a name hold them.

    Not trigrams: Chinese names are two or three characters long, and a trigram index finds no fragment shorter than
    three. At 300,000 rows one or two characters take a few milliseconds by this index and 200 by trigrams.
    """
    return sa.func.string_to_array(search_key(text), sa.null(), type_=ARRAY(sa.Text))


def contains(column: Any, fragment: str) -> sa.ColumnElement[bool]:
    """Tell whether `fragment` stands anywhere in the text."""
    return sa.func.strpos(search_key(column), search_key(fragment)) > 0


def contains_by_index(column: Any, fragment: str) -> sa.ColumnElement[bool]:
    """As `contains`, for a column with an index of its `characters`, which says only that all of them occur."""
    return sa.and_(characters(column).op("@>")(characters(fragment)), contains(column, fragment))


def create_search_key_1(op: Operations) -> None:
    """Create the first revision of the function. Frozen: changes get a new function, and its indexes are built anew.

    Names are clean when they are stored; this folds those that are older than the cleaning as well.
    """
    op.execute(
        r"""
        CREATE FUNCTION search_key(stored text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT lower(translate(
                regexp_replace(
                    normalize(translate(stored, '´ㆍ˙', '''··'), NFKC),
                    '[\s\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800'
                    '\ufe00-\ufe0f\ufeff\ufff0-\ufffb\U000e0000-\U000e0fff]+', '', 'g'),
                '.。•‧∙⋅・․·᛫⸱⸳●‐‑‒–—―−⁃─━⸺⸻﹘˗➖[{〔【〖〘〚⦅]}〕】〗〙〛⦆’‘ʼʻ`′○◯⭕',
                '·············---------------(((((((())))))))''''''''''''〇〇〇'))
        $$
        """
    )
