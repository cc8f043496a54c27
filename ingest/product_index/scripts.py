"""The update scripts for stored products. They remove fields, which a partial document cannot do, and update
the words of flat attributes."""

from __future__ import annotations

from mmsearch.ingest.product_index.foreign_fields import OURS
from mmsearch.ingest.schema.attributes import OTHER, PARTS, WORDS

_PARTS = ", ".join(f"'{part}'" for part in PARTS)
_OURS = ", ".join(f"'{name}'" for name in (*PARTS, *OURS))
_COLLECT = """
void collect(def value, List found) {
  if (value instanceof String) { if (value.length() > 0) { found.add(value) } }
  else if (value instanceof Map) { for (each in value.values()) { collect(each, found) } }
  else if (value instanceof List) { for (each in value) { collect(each, found) } }
}
"""
"""the texts of flat attributes, in their order"""
REPLACE = f"""{_COLLECT}
def s = ctx._source;
def was = s.ingest == null ? null : s.ingest.attributes;
def kept = new HashMap();
if (was != null) {{
  for (part in [{_PARTS}]) {{
    if (s[part] instanceof Map) {{
      def rest = new HashMap();
      rest.putAll(s[part]);
      for (name in was) {{ rest.remove(name) }}
      for (name in params.source.ingest.attributes) {{ rest.remove(name) }}
      if (!rest.isEmpty()) {{ kept[part] = rest }}
    }}
  }}
}}
for (field in [{_OURS}]) {{ s.remove(field) }}
s.putAll(params.source);
for (each in kept.entrySet()) {{
  def rest = each.getValue();
  if (s[each.getKey()] != null) {{ rest.putAll(s[each.getKey()]) }}
  s[each.getKey()] = rest;
}}
if (kept['{OTHER}'] != null) {{
  def words = new ArrayList();
  collect(s['{OTHER}'], words);
  if (words.isEmpty()) {{ s.remove('{WORDS}') }} else {{ s['{WORDS}'] = words }}
}}
"""
"""a whole product in the place of the stored one; what others wrote stays"""
CHANGE = f"""{_COLLECT}
boolean over(Map there, Map change) {{
  boolean changed = false;
  for (each in change.entrySet()) {{
    def name = each.getKey();
    def value = each.getValue();
    def old = there[name];
    if (old instanceof Map && value instanceof Map) {{ if (over(old, value)) {{ changed = true }} }}
    else if (old == null || !old.equals(value)) {{ there[name] = value; changed = true }}
  }}
  return changed;
}}
boolean take(Map there, Map change) {{
  boolean changed = false;
  for (each in change.entrySet()) {{
    def name = each.getKey();
    if (!there.containsKey(name)) {{ continue }}
    def old = there[name];
    if (old instanceof Map && each.getValue() instanceof Map) {{
      if (take(old, each.getValue())) {{ changed = true }}
      if (old.isEmpty()) {{ there.remove(name) }}
    }}
    else {{ there.remove(name); changed = true }}
  }}
  return changed;
}}
def s = ctx._source;
def change = params.change;
boolean changed = false;
for (part in [{_PARTS}]) {{
  if (change[part] == null) {{ continue }}
  for (other in [{_PARTS}]) {{
    if (other != part && s[other] instanceof Map) {{
      if (take(s[other], change[part])) {{ changed = true }}
      if (s[other].isEmpty()) {{ s.remove(other) }}
    }}
  }}
}}
if (over(s, change)) {{ changed = true }}
def words = new ArrayList();
collect(s['{OTHER}'], words);
if (words.isEmpty()) {{ if (s.remove('{WORDS}') != null) {{ changed = true }} }}
else if (!words.equals(s['{WORDS}'])) {{ s['{WORDS}'] = words; changed = true }}
if (!changed) {{ ctx.op = 'none' }}
"""
"""a partial document over the stored one; an attribute that lies in another field than before leaves that"""
