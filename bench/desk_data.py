"""A desk full of applications, made by the database: names and enterprises as unevenly spread as they are here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

CHUNK = 250_000
# From the most frequent on; the last are rare indeed.
SURNAMES = [
    *"王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方",
    *"白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁",
    *"尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜",
    *("欧阳", "上官", "司马", "诸葛", "端木", "邬", "仝", "衡", "桑", "逄", "禚", "缑"),
]
GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国文辉力永健世广志义兴良海山仁波宁贵福生龙元全胜学祥才发武新利清飞彬富顺信子浩亮政谦亨奇固之轮翰朗伯宏言若鸣"
    "朋斌梁栋维启克伦翔旭鹏泽晨辰士以家致树炎德行时泰盛雄琛钧冠策腾榕风航弘玉萍红娥玲芬燕彩春菊兰凤洁梅琳素云莲真环雪荣爱妹香月莺媛瑞凡佳嘉琼勤珍贞莉桂娣叶璧璐娅琦晶"
    "妍茜秋珊莎锦黛青倩婷姣婉娴瑾颖露瑶怡婵雁蓓纨仪荷丹蓉眉君琴蕊薇菁梦岚苑婕馨瑗琰韵融园艺咏卿聪澜纯毓悦昭冰爽琬茗羽希欣飘育滢馥筠柔竹霭凝晓欢霄枫芸菲寒伊亚宜可姬舒影"
)
PLACES = ("南昌", "九江", "上饶", "抚州", "宜春", "吉安", "赣州", "景德镇", "萍乡", "新余", "鹰潭")
BRANDS = (
    "宏达建安鑫盛恒泰华宇中天金鼎昌隆瑞丰东方远大博远正信诚达万和长兴天成永固嘉业新源隆基广厦江南赣江"
    "昌建联创众合顺达三友海天安居富力龙腾凯旋兴盛国泰民安"
)
KINDS = (
    "建设工程有限公司",
    "建筑工程有限公司",
    "建设集团有限公司",
    "市政工程有限公司",
    "建筑劳务有限公司",
    "装饰工程有限公司",
    "园林绿化工程有限公司",
    "机电安装工程有限公司",
    "工程管理咨询有限公司",
    "钢结构工程经营部",
)
_KINDS_OF_POST = ("施工员", "质量员", "安全员", "材料员", "资料员")
_FAMILIES = ("土建", "装饰", "市政", "设备安装")
POSTS = [(str(10 + n), f"{_FAMILIES[n // 5]}{_KINDS_OF_POST[n % 5]}") for n in range(20)]
_PICTURES = ("id-front", "id-back", "commitment-letter")
IMAGES = json.dumps([{"kind": kind, "sha256": "5" * 64, "width": 1600, "height": 1000} for kind in _PICTURES])

_ENTERPRISES = """
CREATE TEMPORARY TABLE enterprises AS
SELECT place, gen_random_uuid() AS id, (%(places)s::text[])[1 + floor(random() * 11)] || '市'
    || substr(%(brands)s::text, 1 + floor(random() * 80)::int, 2)
    || substr(%(brands)s::text, 1 + floor(random() * 80)::int, 2)
    || (%(kinds)s::text[])[1 + floor(10 * power(random(), 2))] AS name
FROM generate_series(0, %(enterprises)s::int - 1) AS place
"""

_ITEMS = """
INSERT INTO items (application_id, change_no, revision, decision_no, application_number, status, name, person,
    id_number_index, enterprise_id, enterprise_name, post, post_name, certificate_number, added_at, submitted_at,
    images)
SELECT gen_random_uuid(), 3, 1, 1, 'HZ' || lpad(n::text, 8, '0'), status,
    (%(surnames)s::text[])[1 + floor(cardinality(%(surnames)s::text[]) * power(random(), 3))::int]
    || substr(%(given)s::text, 1 + floor(length(%(given)s::text) * power(random(), 1.7))::int, 1)
    || CASE WHEN random() < 0.8
            THEN substr(%(given)s::text, 1 + floor(length(%(given)s::text) * power(random(), 1.7))::int, 1)
            ELSE '' END,
    %(person)s::text, md5((n::bigint * 7919 %% greatest(1, %(count)s::int / 2))::text) || md5(n::text),
    e.id, e.name, post[1], post[2], CASE WHEN status = 'certified' THEN '00710' || lpad(n::text, 9, '0') END,
    at, at + interval '1 hour', %(images)s::jsonb
FROM (
    SELECT n, floor(%(enterprises)s::int * power(random(), 3))::int AS enterprise,
        now() - (%(count)s::int - n) * interval '10 seconds' - random() * interval '1 hour' AS at,
        string_to_array((%(posts)s::text[])[1 + floor(20 * power(random(), 2))::int], ' ') AS post,
        CASE WHEN %(count)s::int - n < least(20000, %(count)s::int / 10) AND chance < 0.8 THEN 'pending_review'
             WHEN chance < 0.90 THEN 'certified'
             WHEN chance < 0.95 THEN 'rejected'
             WHEN chance < 0.99 THEN 'cancelled'
             WHEN %(count)s::int - n < 100000 THEN 'approved'
             ELSE 'certified' END AS status
    FROM (SELECT n, random() AS chance FROM generate_series(%(first)s::int, %(last)s::int) AS n OFFSET 0) AS drawn
    OFFSET 0
) AS i JOIN enterprises AS e ON e.place = i.enterprise
"""


def fill(url: str, count: int, person: str) -> None:
    """Put so many items into the empty database of a review service, one every ten seconds until now; all of them hold
    this sealed person. Ten million take some minutes and 25 GB."""
    given = {
        "surnames": SURNAMES,
        "given": GIVEN,
        "places": list(PLACES),
        "brands": BRANDS,
        "kinds": list(KINDS),
        "posts": [" ".join(post) for post in POSTS],
        "images": IMAGES,
        "person": person,
        "count": count,
        "enterprises": max(50, count // 400),
    }
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SELECT setseed(0.5)")
        connection.execute(_ENTERPRISES, given)
        with _without_indexes(connection, "items", "name_fragments"):
            for first in range(1, count + 1, CHUNK):
                connection.execute(_ITEMS, {**given, "first": first, "last": min(first + CHUNK - 1, count)})
        connection.execute("VACUUM ANALYZE")


@contextmanager
def _without_indexes(connection: psycopg.Connection, *tables: str) -> Iterator[None]:
    """Make the indexes of these tables anew after the block, which is much quicker than to keep them."""
    made = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname <> 'items_pkey'",
        [list(tables)],
    ).fetchall()
    for name, _ in made:
        connection.execute(f"DROP INDEX {name}".encode())
    connection.execute("ALTER TABLE items DROP CONSTRAINT items_pkey")
    yield
    connection.execute("ALTER TABLE items ADD CONSTRAINT items_pkey PRIMARY KEY (application_id)")
    for _, definition in made:
        connection.execute(definition.encode())
