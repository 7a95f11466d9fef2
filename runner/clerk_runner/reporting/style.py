"""How a report looks: two schemes of colours, one column on a narrow screen and two on a wide one."""

from __future__ import annotations

__all__ = ["DARK", "LIGHT", "STYLE"]

LIGHT = {
    "paper": "#ffffff",
    "card": "#f5f7fa",
    "ink": "#1a1f27",
    "quiet": "#525c69",
    "edge": "#d5dae1",
    "main": "#1f5fc4",
    "good": "#17692f",
    "bad": "#b3261e",
    "warn": "#8a5300",
    "other": "#6f42b5",
}
DARK = {
    "paper": "#11151b",
    "card": "#1a2029",
    "ink": "#e7ebf0",
    "quiet": "#a3adba",
    "edge": "#343d49",
    "main": "#79b1ff",
    "good": "#63d17f",
    "bad": "#ff9289",
    "warn": "#f0bd57",
    "other": "#c4a4f7",
}


def _scheme(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


STYLE = (
    f":root{{color-scheme:light dark;{_scheme(LIGHT)}}}"
    f"@media(prefers-color-scheme:dark){{:root{{{_scheme(DARK)}}}}}"
    """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
 font:16px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:76rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 .25rem}
p{margin:0 0 .75rem}
.quiet,figcaption p,.tile dt{color:var(--quiet)}
.state{display:inline-block;padding:.1rem .6rem;border-radius:1rem;border:1px solid currentColor;font-size:.9rem;
 font-weight:600;vertical-align:.2em;white-space:nowrap}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
code,.mono{font-family:ui-monospace,"Cascadia Mono","DejaVu Sans Mono",monospace;font-size:.9em;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.75rem;margin:1.25rem 0;padding:0}
.tile{background:var(--card);border:1px solid var(--edge);border-radius:.5rem;padding:.6rem .7rem;min-width:0}
.tile dt{font-size:.85rem}.tile dd{margin:0;font-size:1.2rem;font-weight:600;font-variant-numeric:tabular-nums}
.cards{display:grid;grid-template-columns:minmax(0,1fr);gap:1rem}
@media(min-width:60rem){.cards{grid-template-columns:minmax(0,1fr) minmax(0,1fr)}.whole{grid-column:1/-1}}
section,figure{background:var(--card);border:1px solid var(--edge);border-radius:.5rem;padding:1rem;margin:0;
 min-width:0}
figcaption p{font-size:.9rem}
.plot{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.25rem .5rem;font-size:.8rem;color:var(--quiet);
 font-variant-numeric:tabular-nums}
.plot .y{display:flex;flex-direction:column;justify-content:space-between;text-align:right;line-height:1}
.plot .x{grid-column:2;display:flex;justify-content:space-between;gap:.5rem}
@media(max-width:40rem){.plot .x span:nth-child(even){display:none}}
svg{display:block;width:100%;height:11rem;border-bottom:1px solid var(--quiet);border-left:1px solid var(--quiet)}
svg path{vector-effect:non-scaling-stroke}
.rule{stroke:var(--edge);stroke-width:1}
.fill-main{fill:var(--main)}.fill-bad{fill:var(--bad)}.fill-good{fill:var(--good)}
.limit{stroke:var(--warn);stroke-width:2;stroke-dasharray:6 4;fill:none}
.line-0,.line-1,.line-2,.line-3{fill:none;stroke-width:2}
.line-0{stroke:var(--main)}.line-1{stroke:var(--good);stroke-dasharray:7 3}
.line-2{stroke:var(--other);stroke-dasharray:2 3}.line-3{stroke:var(--bad);stroke-dasharray:10 3 2 3}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.5rem 0;padding:0;list-style:none;font-size:.9rem}
.legend svg{display:inline-block;width:2rem;height:.7rem;border:0;vertical-align:baseline;margin-right:.4rem}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--main);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);padding-bottom:.35rem;position:sticky;left:0;
 max-width:calc(100vw - 4.25rem)}
th,td{text-align:left;white-space:nowrap;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--edge);
 vertical-align:top}
td.n,th.n{text-align:right}
td.t,th.t{white-space:normal;min-width:12rem;overflow-wrap:anywhere}td code{overflow-wrap:normal}
details{margin-top:.75rem}summary{cursor:pointer;color:var(--main)}
dl.facts{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.25rem 1rem;margin:0}
dl.facts dt{color:var(--quiet)}dl.facts dd{margin:0;overflow-wrap:anywhere}
@media print{body{font-size:11px}section,figure{break-inside:avoid}}
"""
)
