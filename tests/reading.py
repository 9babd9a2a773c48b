"""Reads the pages that are written, as strictly as a browser does not."""

from html.parser import HTMLParser

EMPTY = {
    "meta",
    "link",
    "img",
    "br",
    "hr",
    "wbr",
    "input",
    "source",
}  # HTML does not close them


class Read(HTMLParser):
    """A page as its elements, the words in them, and the cells of its table."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.cells, self.words = [], [], [], {}
        self.feed(text)
        self.close()
        assert not self.open  # every element is closed, and in order

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.words[tag] = self.words.get(tag, "") + data
        if {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
