package org.mmsearch.hybrid.search;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.TotalHits;
import org.mmsearch.hybrid.candidates.CandidatesQueryBuilder;
import org.mmsearch.hybrid.fused.RankDoc;
import org.mmsearch.hybrid.fused.RankDocsQueryBuilder;
import org.mmsearch.hybrid.fused.ShardRankDocs;
import org.mmsearch.hybrid.legs.LegWindows;
import org.mmsearch.hybrid.legs.ShardWindows;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.action.search.SearchPhaseName;
import org.opensearch.action.search.SearchPhaseResults;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.common.lucene.search.TopDocsAndMaxScore;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.SearchPhaseResult;
import org.opensearch.search.SearchService;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.internal.ShardSearchRequest;
import org.opensearch.search.pipeline.AbstractProcessor;
import org.opensearch.search.pipeline.PipelineProcessingContext;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.ProcessorGenerationContext;
import org.opensearch.search.pipeline.SearchPhaseResultsProcessor;
import org.opensearch.search.pipeline.SystemGeneratedProcessor;
import org.opensearch.search.query.QuerySearchResult;

/**
 * Fuses the windows of all shards between the query phase and the fetch phase of one search. It replaces each shard's top documents with
 * its fused hits. The fetch phase uses the reader contexts that the legs ran in.
 */
public final class FusionPhase extends AbstractProcessor implements SearchPhaseResultsProcessor, SystemGeneratedProcessor {

    /** The name of the factory. */
    public static final String TYPE = "mmsearch_hybrid_fusion";

    private FusionPhase(String tag, String description, boolean ignoreFailure) {
        super(tag, description, ignoreFailure);
    }

    /**
     * Returns the factory.
     *
     * @param wanted whether a request may have a hybrid
     */
    public static Map<String, SystemGeneratedFactory<SearchPhaseResultsProcessor>> factory(Predicate<SearchRequest> wanted) {
        return Map.of(TYPE, new SystemGeneratedFactory<>() {
            @Override
            public boolean shouldGenerate(ProcessorGenerationContext context) {
                return wanted.test(context.searchRequest());
            }

            @Override
            public SearchPhaseResultsProcessor create(
                Map<String, Processor.Factory<SearchPhaseResultsProcessor>> factories,
                String tag,
                String description,
                boolean ignoreFailure,
                Map<String, Object> config,
                Processor.PipelineContext context
            ) {
                return new FusionPhase(tag, description, ignoreFailure);
            }
        });
    }

    @Override
    public <Result extends SearchPhaseResult> void process(SearchPhaseResults<Result> results, SearchPhaseContext context) {
        fuse(results, context, null);
    }

    @Override
    public <Result extends SearchPhaseResult> void process(
        SearchPhaseResults<Result> results,
        SearchPhaseContext context,
        PipelineProcessingContext request
    ) {
        fuse(results, context, HybridRewrite.notes(request));
    }

    private static <Result extends SearchPhaseResult> void fuse(
        SearchPhaseResults<Result> results,
        SearchPhaseContext context,
        SearchNotes notes
    ) {
        SearchSourceBuilder source = context.getRequest().source();
        if (source == null || source.query() instanceof CandidatesQueryBuilder == false) {
            return;
        }
        long answered = System.nanoTime();
        CandidatesQueryBuilder hybrid = (CandidatesQueryBuilder) source.query();
        List<Shard> shards = shards(results);
        List<ShardWindows> windows = new ArrayList<>(shards.size());
        for (Shard shard : shards) {
            windows.add(shard.windows);
        }
        if (hybrid.capture() != null) {
            hybrid.capture().take(windows, shards.stream().map(Shard::result).toList(), context);
            // Clear the hits, so that nothing is fetched. OpenSearch does not release the contexts of results without hits.
            shards.forEach(shard -> hits(shard.result, List.of(), 0, Float.NaN));
            return;
        }
        place(hybrid, shards, ShardRankDocs.fuse(windows, hybrid.described()), context);
        hybrid.node().stats().oneSearch(notes == null ? 0 : answered - notes.legsBegan(), System.nanoTime() - answered);
    }

    private record Shard(QuerySearchResult result, ShardWindows windows) {}

    private static <Result extends SearchPhaseResult> List<Shard> shards(SearchPhaseResults<Result> results) {
        List<Shard> shards = new ArrayList<>();
        for (Result each : results.getAtomicArray().asList()) {
            QuerySearchResult result = each.queryResult();
            // A shard without possible matches has no result. If an alias filter matches nothing there, the result has no windows.
            if (result != null && result.isNull() == false && result.topDocs().topDocs.scoreDocs.length > 0) {
                LegWindows found = LegWindows.of(result.topDocs().topDocs);
                shards.add(new Shard(result, new ShardWindows(result.getSearchShardTarget().getShardId(), found)));
            }
        }
        shards.sort(Comparator.comparing(Shard::windows, ShardWindows.BY_SHARD));
        return shards;
    }

    private record Place(RankDoc doc, int shard, int shardIndex) {}

    /** Sets the hits of the page in each shard's result, and the query with these hits in its fetch request. */
    private static void place(
        CandidatesQueryBuilder hybrid,
        List<Shard> shards,
        List<ShardRankDocs> fused,
        SearchPhaseContext context
    ) {
        SearchSourceBuilder source = context.getRequest().source();
        List<List<RankDoc>> pages = pages(shards, fused, source);
        List<QueryBuilder> legs = FetchedLegs.of(hybrid.legs(), hybrid.described(), source);
        for (int i = 0; i < shards.size(); i++) {
            QuerySearchResult result = shards.get(i).result;
            List<RankDoc> all = fused.get(i).docs();
            List<RankDoc> page = pages.get(i);
            hits(result, page, all.size(), all.isEmpty() ? Float.NaN : all.get(0).hit().score());
            if (page.isEmpty()) {
                if (context.getRequest().pointInTimeBuilder() == null) {
                    // OpenSearch does not release the context of a result without hits.
                    ReaderContexts.release(result, context);
                }
                continue;
            }
            ShardSearchRequest fetch = new ShardSearchRequest(result.getShardSearchRequest());
            List<ShardRankDocs> mine = List.of(fused.get(i).with(page));
            QueryBuilder query = new RankDocsQueryBuilder(hybrid.node(), legs, hybrid.described(), mine, null).queryName(hybrid.queryName());
            fetch.source(fetch.source().shallowCopy().query(query));
            result.setShardSearchRequest(fetch);
        }
    }

    /** Returns the hits of each shard on the requested page, in the order in which OpenSearch merges them. */
    private static List<List<RankDoc>> pages(List<Shard> shards, List<ShardRankDocs> fused, SearchSourceBuilder source) {
        int size = source.size() == -1 ? SearchService.DEFAULT_SIZE : source.size();
        int from = source.from() == -1 ? SearchService.DEFAULT_FROM : source.from();
        List<Place> places = new ArrayList<>();
        List<List<RankDoc>> pages = new ArrayList<>(shards.size());
        for (int shard = 0; shard < shards.size(); shard++) {
            pages.add(new ArrayList<>());
            for (RankDoc doc : fused.get(shard).docs()) {
                places.add(new Place(doc, shard, shards.get(shard).result.getShardIndex()));
            }
        }
        places.sort(Comparator.comparingDouble((Place place) -> -place.doc.hit().score()).thenComparingInt(Place::shardIndex));
        for (Place place : places.subList(0, Math.min(places.size(), from + size))) {
            pages.get(place.shard).add(place.doc);
        }
        return pages;
    }

    private static void hits(QuerySearchResult result, List<RankDoc> page, int total, float best) {
        ScoreDoc[] docs = new ScoreDoc[page.size()];
        for (int i = 0; i < docs.length; i++) {
            docs[i] = new ScoreDoc(page.get(i).doc(), page.get(i).hit().score());
        }
        TotalHits hits = new TotalHits(total, TotalHits.Relation.EQUAL_TO);
        result.topDocs(new TopDocsAndMaxScore(new TopDocs(hits, docs), best), null);
    }

    @Override
    public SearchPhaseName getBeforePhase() {
        return SearchPhaseName.QUERY;
    }

    @Override
    public SearchPhaseName getAfterPhase() {
        return SearchPhaseName.FETCH;
    }

    @Override
    public String getType() {
        return TYPE;
    }

    @Override
    public ExecutionStage getExecutionStage() {
        // The pipeline's processors then receive the fused hits.
        return ExecutionStage.PRE_USER_DEFINED;
    }
}
