// The JavaScript client: clauses, answers, errors, its helpers, and documents that are read, changed and written back.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Its packages lie in the folder that it is started in.
const { Client, errors } = createRequire(`${process.cwd()}/`)("@opensearch-project/opensearch");
const given = JSON.parse(readFileSync(0, "utf8"));
const client = new Client({ node: given.url });
const { index, away, text: TEXT } = given;

const neural = (more = {}) => ({ neural: { embedding: { query_text: TEXT, k: 150, ...more } } });
const hybrid = (more = {}, dense = {}) => ({
  hybrid: { queries: [{ match: { title: TEXT } }, neural(dense)], ...more },
});
const search = async (body, where = index) => (await client.search({ index: where, body })).body;
const ids = (answer) => answer.hits.hits.map((hit) => hit._id);

async function raised(call) {
  try {
    await call();
  } catch (error) {
    return {
      class: error.name,
      known: error instanceof errors.ResponseError,
      status: error.statusCode,
      text: error.message,
      reason: error.meta?.body?.error?.reason,
    };
  }
  return null;
}

async function searches() {
  const found = await search({ query: hybrid(), size: 150 });
  const { body: several } = await client.msearch({
    body: [{ index }, { query: hybrid(), size: 150 }, { index }, { query: neural(), size: 150 }],
  });
  const pages = [];
  for (const from of [0, 50, 100]) {
    pages.push(...ids(await search({ query: hybrid({ pagination_depth: 150 }), from, size: 50 })));
  }
  const diverse = { query: hybrid(), size: 20, ext: { mmr: given.mmr } };
  const degraded = await search({ query: hybrid({ on_encoder_failure: "skip" }) }, away);
  return {
    hybrid: ids(found),
    legs: found.hits.hits[0].fields._legs,
    vectors: found.hits.hits.filter((hit) => "embedding" in hit._source).length,
    several: several.responses.map(ids),
    pages,
    diverse: ids(await search(diverse)),
    documents: (await client.helpers.search({ index, body: { query: hybrid(), size: 150 } })).map((each) => each.title),
    counted: (await client.count({ index, body: { query: hybrid() } })).body.count,
    degraded: degraded.ext.mmsearch.degraded,
  };
}

async function failures() {
  const odd = hybrid({ fusion: { combination: { technique: "sum" } } });
  return {
    refused: await raised(() => search({ query: odd })),
    unknown: await raised(() => search({ query: neural({ model_id: "y" }) })),
    away: await raised(() => search({ query: neural() }, away)),
    scrolled: await raised(async () => {
      for await (const page of client.helpers.scrollDocuments({ index, body: { query: hybrid() } })) void page;
    }),
    after: ids(await search({ query: neural(), size: 5 })).length,
  };
}

async function products() {
  const some = ids(await search({ size: 40 }));
  const written = [];
  const write = async (hits, price) => {
    for (const hit of hits) {
      await client.index({ index: hit._index, id: hit._id, body: { ...hit._source, price } });
      written.push(hit._id);
    }
  };
  await write([(await client.get({ index, id: some[0] })).body], 1);
  await write((await client.mget({ index, body: { ids: some.slice(1, 10) } })).body.docs, 2);
  const scrolled = { query: { ids: { values: some.slice(10, 20) } } };
  for await (const page of client.helpers.scrollSearch({ index, size: 4, body: scrolled })) {
    await write(page.body.hits.hits, 3);
  }
  const pit = (await client.createPit({ index, keep_alive: "1m" })).body.pit_id;
  const held = { pit: { id: pit }, query: { ids: { values: some.slice(20, 30) } }, size: 10 };
  await write((await client.search({ body: held })).body.hits.hits, 4);
  await client.deletePit({ body: { pit_id: [pit] } });
  const asked = { _source: true, query: { ids: { values: some.slice(30, 40) } }, size: 10 };
  await write((await search(asked)).hits.hits, 5);
  return written;
}

async function own() {
  const name = "foreign-js";
  const embedding = {
    type: "knn_vector",
    dimension: given.vectors[0].length,
    method: { name: "hnsw", engine: "lucene", space_type: "cosinesimil" },
  };
  const mappings = { properties: { title: { type: "text" }, embedding } };
  await client.indices.create({ index: name, body: { settings: { "index.knn": true }, mappings } });
  const documents = given.titles.map((title, at) => ({ number: at, title, embedding: given.vectors[at] }));
  const bulk = await client.helpers.bulk({
    datasource: documents,
    onDocument: (each) => ({ index: { _index: name, _id: String(each.number) } }),
    refreshOnCompletion: name,
  });
  const query = hybrid({}, { model_id: "query_encoder" });
  const found = await search({ query, size: 150 }, name);
  const legs = [];
  for (const leg of query.hybrid.queries) {
    const { hits } = (await search({ query: leg, size: 150 }, name)).hits;
    legs.push(hits.map((hit) => [hit._id, hit._score]));
  }
  // What was found is changed and written over, vectors and all.
  const again = await client.helpers.bulk({
    datasource: found.hits.hits.map((hit) => ({ ...hit._source, price: 1 })),
    onDocument: (each) => ({ index: { _index: name, _id: String(each.number) } }),
    refreshOnCompletion: name,
  });
  return { bulk: bulk.successful, found: ids(found), legs, again: again.successful };
}

const report = {
  searches: await searches(),
  failures: await failures(),
  products: await products(),
  own: await own(),
};
process.stdout.write(JSON.stringify(report));
