"""RichText: an answer in Markdown, shown while it comes."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QMimeData, QPoint, QRect, QRectF, QSize, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QColor,
    QDesktopServices,
    QFocusEvent,
    QGuiApplication,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QTextCursor,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from desktop.widgets.richtext.colours import LIGHT, RichTextColours
from desktop.widgets.richtext.copying import code_text, selection_text
from desktop.widgets.richtext.formats import CODE_FOOT, CODE_HEAD, FORMULA_OBJECT, Formats
from desktop.widgets.richtext.headers import HEIGHT, CodeHeaders
from desktop.widgets.richtext.highlight import Highlighter
from desktop.widgets.richtext.inline import followable, openable
from desktop.widgets.richtext.paint import Decorations, FormulaObject
from desktop.widgets.richtext.stream import Stream
from desktop.widgets.richtext.writer import Writer

FRAME_MS = 16  # pieces that come faster than this are shown together


class RichText(QTextBrowser):
    """Markdown, streamed or whole; as high as its content at the width it is given.

    `append` may be called thousands of times: only the unfinished end is read and laid out again.
    `link_activated` carries an http, https or mailto address the person opened (the browser is started too), or one
    that begins with "cite:";
    `code_copied` the code that went to the clipboard. Nothing is ever loaded from anywhere.
    """

    link_activated = Signal(str)
    code_copied = Signal(str)

    def __init__(self, parent: QWidget | None = None, colours: RichTextColours = LIGHT) -> None:
        super().__init__(parent)
        self.open_address: Callable[[str], object] = lambda address: QDesktopServices.openUrl(QUrl(address))
        self._colours = colours
        self._source: list[str] = []
        self._pending: list[str] = []
        self._held = ""
        self._finished = True
        self._final_code = 0  # the strips and colours of code blocks up to this id are done
        self._prepare()
        self._colour_selection()
        document = self.document()
        self._formats = Formats(colours, self.font())
        self._objects = FormulaObject(document, self._formats)
        document.documentLayout().registerHandler(FORMULA_OBJECT, self._objects)
        self._decorations = Decorations(document, self._formats)
        self._headers = CodeHeaders(self.viewport(), self._copy_code)
        self._stream = Stream()
        self._writer = Writer(document, self._formats)
        self._highlighter = Highlighter(document, colours)
        self._timer = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._timer.timeout.connect(self.flush)
        document.documentLayout().documentSizeChanged.connect(self._fit)
        self.anchorClicked.connect(self._open)
        self.tip_of: Callable[[str], str] = str  # what is shown over a link
        self.highlighted.connect(lambda url: self.viewport().setToolTip(self.tip_of(url.toString())))

    def _prepare(self) -> None:
        self.setOpenLinks(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setUndoRedoEnabled(False)
        self.document().setDocumentMargin(0)
        self.document().setUndoRedoEnabled(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        flags = Qt.TextInteractionFlag
        self.setTextInteractionFlags(
            flags.TextSelectableByMouse
            | flags.TextSelectableByKeyboard
            | flags.LinksAccessibleByMouse
            | flags.LinksAccessibleByKeyboard
        )
        self.viewport().setAutoFillBackground(False)
        self.setCursorWidth(0)
        # The application's style sheet pads text fields; here that would cut the first line off.
        self.setStyleSheet("RichText { background: transparent; border: none; padding: 0; margin: 0; }")

    # text in

    def append(self, text: str) -> None:
        """Add a streamed piece; it is shown within a sixtieth of a second."""
        if not text:
            return
        if self._finished:
            self._open_again()
        self._source.append(text)
        self._pending.append(text)
        if not self._timer.isActive():
            self._timer.start()

    def set_text(self, text: str) -> None:
        """Show a whole text at once."""
        self._clear()
        self._source = [text]
        self._pending = [text]
        self.finish()

    def finish(self) -> None:
        """The stream has ended: what is open becomes final, as if the whole text had been set."""
        if self._finished and not self._pending:
            return  # what is final would be shown twice
        self._finished = True
        self.flush()

    def flush(self) -> None:
        """Show what has come so far now."""
        self._timer.stop()
        text = self._held + "".join(self._pending)
        self._pending.clear()
        self._held = "\r" if text.endswith("\r") and not self._finished else ""
        text = text[: len(text) - len(self._held)]
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")
        done = self._stream.feed(text, self._finished)
        selected = self.textCursor().anchor(), self.textCursor().position()
        self._writer.show(done, self._stream.open)
        self._select_again(*selected)
        writer = self._writer
        codes = writer.codes_after(self._final_code)
        self._headers.follow(codes, self._colours, self._final_code)
        self._highlighter.follow(codes, self._final_code, 0 if self._finished else writer.live_code)
        self._fit()
        self._place_headers(codes)
        self._final_code = writer.final_code if writer.final_code != writer.live_code else self._final_code

    def _select_again(self, anchor: int, position: int) -> None:
        """A selection or text cursor at the end must not go along with the stream."""
        cursor = self.textCursor()
        if (cursor.anchor(), cursor.position()) == (anchor, position):
            return
        last = self.document().characterCount() - 1
        cursor.setPosition(min(anchor, last))
        cursor.setPosition(min(position, last), QTextCursor.MoveMode.KeepAnchor)
        self.setTextCursor(cursor)

    def _open_again(self) -> None:
        """An answer that was whole goes on: its last paragraph may grow, so it is read anew."""
        source = "".join(self._source)
        self._clear()
        self._finished = False
        self._source, self._pending = [source], [source]

    def _clear(self) -> None:
        self._timer.stop()
        self._source, self._pending, self._held = [], [], ""
        self._stream = Stream()
        self._writer.clear()
        self._highlighter.clear()
        self._headers.clear()

    # text out

    def plain_text(self) -> str:
        """The Markdown source."""
        return "".join(self._source)

    def selected_text(self) -> str:
        """What is selected, list markers and the source of formulas included."""
        return selection_text(self.textCursor())

    def createMimeDataFromSelection(self) -> QMimeData:
        """What copying puts on the clipboard."""
        mime = QMimeData()
        mime.setText(self.selected_text())
        return mime

    # looks

    def apply_colours(self, colours: RichTextColours) -> None:
        """Show the text in other colours; a stream goes on."""
        if colours != self._colours:
            self._colours = colours
            self._colour_selection()
            self._restyle()

    def _colour_selection(self) -> None:
        """A tint of the accent, on which text and formulas stay readable in their own colours."""
        accent, ground = QColor(self._colours.accent), QColor(self._colours.surface)
        mixed = [round(0.24 * one + 0.76 * other) for one, other in zip(_rgb(accent), _rgb(ground), strict=True)]
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Highlight, QColor(*mixed))
        palette.setColor(QPalette.ColorRole.HighlightedText, QColor(self._colours.text))
        palette.setColor(QPalette.ColorRole.Text, QColor(self._colours.text))
        self.setPalette(palette)

    def set_words(self, copy: str, copied: str) -> None:
        """The words on the copy buttons, for code blocks from now on."""
        self._headers.words = (copy, copied)

    def _restyle(self) -> None:
        """Write everything anew in the present colours and font."""
        source, finished = self._source, self._finished
        self._clear()
        self._formats = Formats(self._colours, self.font())
        for part in (self._objects, self._decorations, self._writer):
            part.formats = self._formats
        self._writer.clear()
        self._highlighter.use(self._colours)
        self._source = source
        self._pending = list(source)
        self._finished = finished
        self.flush()
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change of the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_timer"):
            self._restyle()

    # links and copying

    def _open(self, url: QUrl) -> None:
        address = url.toString()
        if followable(address):
            self.link_activated.emit(address)
        if openable(address):
            self.open_address(address)

    def _copy_code(self, code: int) -> None:
        text = code_text(self.document(), self._writer.codes[code][0])
        QGuiApplication.clipboard().setText(text)
        self.code_copied.emit(text)

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        """Nothing: an answer is never a reason to read a file or ask a server."""
        return None

    # size and painting

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The text cursor is shown to those who came by keyboard."""
        reasons = Qt.FocusReason
        self.setCursorWidth(int(event.reason() in (reasons.TabFocusReason, reasons.BacktabFocusReason)))
        super().focusInEvent(event)

    def _fit(self) -> None:
        """As high as the content."""
        height = round(self.document().documentLayout().documentSize().height() + 0.49)
        if self._writer.ends_in_code:
            height += CODE_FOOT
        if height != self.height() or self.minimumHeight() != height:
            self.setFixedHeight(max(1, height))

    def _place_headers(self, codes: dict[int, tuple[int, str]]) -> None:
        layout, document = self.document().documentLayout(), self.document()
        for code, (start, _language) in codes.items():
            if code not in self._headers.strips:
                continue  # a new width may come before the strip of a new block is made
            block = document.findBlock(start)
            form = block.blockFormat()
            left = round(form.leftMargin()) - 14
            top = round(layout.blockBoundingRect(block).top()) - CODE_HEAD
            self._headers.place(code, QRect(left, top + 2, self.viewport().width() - left, HEIGHT))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A new width gives a new height."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._writer.join_open()
            self._fit()
            self._place_headers(self._writer.codes)

    def sizeHint(self) -> QSize:
        """Any width; the height of the content."""
        return QSize(480, max(1, self.minimumHeight()))

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        """Grounds and marks first, the text over them."""
        painter = QPainter(self.viewport())
        clip = QRectF(event.rect())
        first = self.cursorForPosition(QPoint(0, event.rect().top() - CODE_HEAD)).block()
        self._decorations.paint(painter, first, clip)
        painter.end()
        super().paintEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scrolling belongs to the page around."""
        event.ignore()

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        """The content always stands still in here: Qt follows the text cursor while the height is still the old one."""
        self.verticalScrollBar().setValue(0)


def _rgb(colour: QColor) -> tuple[int, int, int]:
    return colour.red(), colour.green(), colour.blue()
