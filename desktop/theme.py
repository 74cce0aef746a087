"""Colours, measures and the style sheet. One theme is current; `theme_keeper().changed` tells of another."""

from __future__ import annotations

import string
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

FOLDER = Path(__file__).parent / "themes"
SANS = ("Inter", "Noto Sans SC", "Noto Sans CJK SC", "Segoe UI", "PingFang SC", "Microsoft YaHei UI")
MONO = ("JetBrains Mono", "Cascadia Mono", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono", "Noto Sans Mono CJK SC")


@dataclass(frozen=True)
class Theme:
    """Named colours as "#RRGGBB"; `colour()` gives them as QColor."""

    name: str
    background: str
    surface: str
    side: str
    rail: str
    line: str
    text: str
    dim: str
    faint: str
    accent: str
    accent_soft: str
    accent_hover: str
    on_accent: str
    amber: str
    amber_soft: str
    red: str
    red_soft: str
    hover: str
    pressed: str

    @property
    def dark(self) -> bool:
        """Whether the background is darker than the text."""
        return QColor(self.background).lightness() < 128

    def colour(self, name: str) -> QColor:
        """One colour by name. Raises AttributeError for an unknown name."""
        return QColor(str(getattr(self, name)))


@cache
def load_theme(name: str) -> Theme:
    """The theme of `themes/NAME.toml`."""
    return Theme(name=name, **tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


def theme_names() -> list[str]:
    """All themes there are, by the names of their files."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


class ThemeKeeper(QObject):
    """The current theme and text size, put on the whole application."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.theme = load_theme("light")
        self.wanted = "system"
        self.font_size = 14

    def follow_system(self) -> None:
        """Change along with the system's colour scheme from now on."""
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_changed)

    def apply(self, wanted: str, font_size: int) -> None:
        """Put on theme `wanted` ("system" follows the desktop) with text of `font_size` px."""
        chosen = load_theme(_system_theme() if wanted == "system" else wanted)
        if (chosen, font_size) == (self.theme, self.font_size) and _application().styleSheet():
            self.wanted = wanted
            return
        self.theme, self.wanted, self.font_size = chosen, wanted, font_size
        self._put_on(_application())
        self.changed.emit()

    def _put_on(self, application: QApplication) -> None:
        application.setFont(text_font(self.font_size))
        application.setPalette(_palette(self.theme))
        application.setStyleSheet(style_sheet(self.theme, self.font_size))

    def _system_changed(self) -> None:
        self.apply(self.wanted, self.font_size)


@cache
def theme_keeper() -> ThemeKeeper:
    """The one keeper of the application."""
    return ThemeKeeper()


def theme() -> Theme:
    """The current theme."""
    return theme_keeper().theme


def text_font(size: int = 0, *, bold: bool = False) -> QFont:
    """The text font at `size` px (0: the person's size)."""
    font = QFont()
    font.setFamilies(_present(SANS) or [font.family()])
    font.setPixelSize(size or theme_keeper().font_size)
    font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    return font


def mono_font(size: int = 0) -> QFont:
    """The font for code at `size` px (0: a touch smaller than the text)."""
    font = QFont()
    font.setFamilies([*_present(MONO), "monospace"])
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPixelSize(size or max(10, theme_keeper().font_size - 1))
    return font


@cache
def _present(wanted: tuple[str, ...]) -> list[str]:
    there = set(QFontDatabase.families())
    return [family for family in wanted if family in there]


def style_sheet(theme: Theme, font_size: int) -> str:
    """The style sheet of all `themes/*.qss`, filled with the theme's colours and the text's sizes."""
    values = {name: str(value) for name, value in vars(theme).items()}
    sizes = {"size": 0, "size_small": -1.5, "size_faint": -2, "size_heading": 1, "size_title": 6, "size_welcome": 12}
    values |= {name: f"{font_size + more:g}px" for name, more in sizes.items()}
    values["icons"] = (Path(__file__).parent / "icons").as_posix()
    values["tone"] = "dark" if theme.dark else "light"
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.qss")))
    return string.Template(text).substitute(values)


def _palette(theme: Theme) -> QPalette:
    """What widgets that paint themselves, and native dialogs, go by."""
    roles = {
        QPalette.ColorRole.Window: theme.background,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.surface,
        QPalette.ColorRole.AlternateBase: theme.side,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.faint,
        QPalette.ColorRole.Button: theme.surface,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.ToolTipBase: theme.surface,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.Mid: theme.line,
    }
    palette = QPalette()
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.faint))
    return palette


def _system_theme() -> str:
    return "dark" if QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark else "light"


def _application() -> QApplication:
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        raise TypeError("a theme needs a QApplication")
    return application
