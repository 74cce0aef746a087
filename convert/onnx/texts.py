"""What source and export are asked, in both languages. Written for this; Python without a library."""

from __future__ import annotations

TEXTS = (
    "The harbour was quiet in the morning, and only two boats had gone out before the fog came in from the north.",
    "Please send me the invoice for October; the amount on page two does not match the one we agreed on in spring.",
    "Water boils at a lower temperature on a mountain because the air above it weighs less than it does at the sea.",
    "def area(width: float, height: float) -> float:\n    return width * height\n\nprint(area(3, 4))",
    "Who pays the deposit back when a tenant moves out early?",
    "早上的港口很安静，雾从北方飘来之前，只有两条船出海了。",
    "请把十月的发票发给我，第二页的金额和我们春天商定的不一致。",
    "山上的气压比海边低，所以水在不到一百度的时候就会沸腾。",
    "房客提前搬走时，押金由谁退还？",
    "这个函数 area(width, height) 返回 float，例如 area(3, 4) 等于 12。",
)
PAIRS = (
    (
        "Who pays the deposit back?",
        "The landlord returns the deposit within six weeks after the keys were handed over.",
    ),
    ("Who pays the deposit back?", "The harbour was quiet in the morning, before the fog came in."),
    ("Why does water boil earlier on a mountain?", "Air pressure falls with height, and with it the boiling point."),
    ("Why does water boil earlier on a mountain?", "Please send me the invoice for October."),
    ("押金由谁退还？", "房东在收到钥匙之后六个星期之内退还押金。"),
    ("押金由谁退还？", "早上的港口很安静，只有两条船出海了。"),
    ("水为什么在山上更早沸腾？", "气压随高度下降，沸点也随之下降。"),
    ("水为什么在山上更早沸腾？", "请把十月的发票发给我。"),
)
