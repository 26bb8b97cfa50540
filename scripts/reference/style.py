"""The style of the page: two columns where they fit, light or dark as the reader's system is."""

from __future__ import annotations

STYLE = """
:root{--ink:#1c2330;--soft:#5b6678;--paper:#fff;--panel:#f5f7fa;--line:#dde3ea;--link:#0b5cad;
--get:#0b6b3a;--post:#0b5cad;--put:#8a5200;--delete:#b3261e;--patch:#6b3fa0;--chip:#e8eef6}
@media (prefers-color-scheme:dark){:root{--ink:#e3e8ef;--soft:#9aa7b8;--paper:#11161d;
--panel:#1a212b;--line:#2c3643;--link:#7ab8ff;--get:#6fd39b;--post:#7ab8ff;--put:#f0b45c;
--delete:#ff8f87;--patch:#c8a6ff;--chip:#243040}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;color:var(--ink);background:var(--paper);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
a{color:var(--link)}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:.5rem;background:var(--paper)}
nav{padding:1.25rem 1rem;background:var(--panel);border-bottom:1px solid var(--line);
font-size:.9rem}
nav .home{display:block;font-weight:700;font-size:1.15rem;margin-bottom:.75rem;
text-decoration:none;color:var(--ink)}
nav ul{list-style:none;margin:.25rem 0 .75rem;padding-left:1.1rem}
nav li{margin:.15rem 0}nav a{text-decoration:none}nav a:hover{text-decoration:underline}
nav summary{cursor:pointer;padding:.2rem 0}nav summary b{font-weight:600}
nav>ul{padding-left:0;margin-top:1rem}
small{color:var(--soft);font-weight:400}
main{padding:1.5rem 1.25rem 6rem;max-width:62rem}
h1{font-size:1.9rem;margin:0 0 1rem}h1 small{font-size:1rem}
h2{margin:3rem 0 .5rem;font-size:1.3rem;overflow-wrap:anywhere}
h3{margin:0;font-size:1.02rem;display:inline}
h4{margin:1.4rem 0 .4rem;font-size:.78rem;letter-spacing:.06em;text-transform:uppercase;
color:var(--soft)}
p{margin:.5rem 0;max-width:46rem}
code,pre{font:.875em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
pre{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;
white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0}
.call{border:1px solid var(--line);border-radius:10px;margin:.6rem 0;background:var(--paper)}
.call>summary{display:flex;flex-wrap:wrap;gap:.3rem .9rem;align-items:baseline;cursor:pointer;
padding:.65rem 1rem;list-style:none}
.call>summary::-webkit-details-marker{display:none}
.call>summary h3{min-width:11.5rem}
.call>summary:hover{background:var(--panel);border-radius:10px}
.call[open]>summary{border-bottom:1px solid var(--line);border-radius:10px 10px 0 0}
.body{padding:.5rem 1rem 1.1rem;scroll-margin-top:4rem}
.route{overflow-wrap:anywhere;color:var(--soft)}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}.delete{color:var(--delete)}
.patch{color:var(--patch)}
.routes{list-style:none;padding:0;margin:.75rem 0}
.permission,.rule{display:inline-block;font-size:.78rem;background:var(--chip);border-radius:99px;
padding:.05rem .6rem;margin:.1rem .25rem .1rem 0;overflow-wrap:anywhere}
.permission{margin-left:auto}
.statuses a{display:inline-block;border:1px solid var(--line);border-radius:6px;padding:0 .5rem;
margin-right:.2rem;text-decoration:none;font-size:.875rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th{text-align:left;color:var(--soft);font-weight:600;font-size:.8rem}
th,td{padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td:first-child{white-space:nowrap}
.type{margin:1.6rem 0;overflow-wrap:anywhere}.type h3{font-weight:600}
:target{background:color-mix(in srgb,var(--chip) 55%,transparent)}
@media (min-width:64rem){body{display:grid;grid-template-columns:19rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;border-bottom:0;
border-right:1px solid var(--line)}main{padding:2rem 3rem 6rem}}
@media print{nav{display:none}}
""".strip()
