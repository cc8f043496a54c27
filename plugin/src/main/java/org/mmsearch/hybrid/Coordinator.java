package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;

import org.mmsearch.SameIndices;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.hybrid.candidates.CandidatesQueryBuilder;
import org.mmsearch.hybrid.fused.InShardQueryBuilder;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.pipeline.PipelineFusion;
import org.mmsearch.hybrid.search.DegradedLeg;
import org.mmsearch.hybrid.search.Rounds;
import org.mmsearch.hybrid.search.SearchNotes;
import org.mmsearch.hybrid.search.SearchNotesFilter;
import org.mmsearch.hybrid.search.Way;
import org.mmsearch.memory.HybridMemory;
import org.mmsearch.visibility.VectorQueries;
import org.opensearch.action.IndicesRequest;
import org.opensearch.action.explain.ExplainRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.support.IndicesOptions;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.SetOnce;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.index.query.MatchNoneQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.transport.client.Client;

/** Builds the query that the shards execute from a hybrid whose legs are rewritten. */
final class Coordinator {

    private final HybridClause clause;
    private final ClusterService cluster;
    private final IndexNameExpressionResolver resolver;
    private final NamedWriteableRegistry registry;
    private final SearchNotesFilter notes;
    private final VectorQueries vectors;

    Coordinator(
        HybridClause clause,
        ClusterService cluster,
        IndexNameExpressionResolver resolver,
        NamedWriteableRegistry registry,
        SearchNotesFilter notes,
        VectorQueries vectors
    ) {
        this.clause = clause;
        this.cluster = cluster;
        this.resolver = resolver;
        this.registry = registry;
        this.notes = notes;
        this.vectors = vectors;
    }

    /**
     * Returns the query that replaces the hybrid, or a placeholder if the legs have to run first.
     *
     * @throws IllegalArgumentException if the hybrid is not allowed in this request
     */
    QueryBuilder fuse(HybridQueryBuilder hybrid, QueryCoordinatorContext context) {
        SearchRequest request = searchRequest(context.getSearchRequest());
        ClusterState state = cluster.state();
        SearchNotes search = notes.of(context);
        HybridRequest checked = new HybridRequest(clause.name(), request).validate();
        SearchTarget target = SearchTarget.of(request, state, cluster.operationRouting(), resolver, registry);
        // Pins aliases to their indices: if an alias moved between the rounds, the old readers would match nothing in the new index.
        SameIndices.keep(request, target.indices(), state, resolver);
        Fusion asked = asked(hybrid, request, search, target, state);
        Fusion fusion = hybrid.narrowed(asked).window(hybrid.window(asked, checked.page(target.indices(), state)));
        checked.validate(fusion.window());
        Legs described = hybrid.describe(fusion);
        List<QueryBuilder> legs = pushed(hybrid.queries(), vectors.allowed(request, hybrid.pushedFilter()));
        if (context.validate()) {
            return new InShardQueryBuilder(clause.node(), legs, described, null);
        }
        if (target.indices().length == 0) {
            return new MatchNoneQueryBuilder();
        }
        if (target.only() != null) {
            return new InShardQueryBuilder(clause.node(), legs, described, target.only());
        }
        if (context.getSearchRequest() instanceof ExplainRequest explain) {
            return pending(context, (client, listener) -> ExplainedHybrid.ask(client, explain, hybrid, listener));
        }
        if (search == null || search.way() == Way.NONE || search.way() == Way.ONE_SEARCH && top(hybrid, request) == false) {
            throw new IllegalArgumentException(
                "[" + clause.name() + "] expected in the query, the [post_filter], a rescorer or a filter aggregation of a search on "
                    + "several shards, got another place: move it to one of these"
            );
        }
        reserve(search, legs.size(), fusion.window(), target.shards(state));
        if (search.way() == Way.ONE_SEARCH) {
            search.legsBegin();
            return new CandidatesQueryBuilder(clause.node(), legs, described, null);
        }
        Rounds rounds = new Rounds(clause.node(), search, state.nodes().getMinNodeVersion(), top(hybrid, request));
        return pending(context, (client, listener) -> rounds.run(client, request, legs, described, listener));
    }

    /** Reserves heap for the windows of all shards and the fused hits, until the search ends. */
    private void reserve(SearchNotes search, int legs, int window, int shards) {
        long bytes = HybridMemory.windows(legs, window, shards) + HybridMemory.fused(legs, window);
        search.hold(clause.node().memory().reserve(bytes, "the windows of a hybrid over " + shards + " shards"));
    }

    private static boolean top(HybridQueryBuilder hybrid, SearchRequest request) {
        return request.source() != null && hybrid.comesFrom(request.source().query());
    }

    /** Registers an asynchronous action and returns a placeholder for the query that the action finds. */
    private static QueryBuilder pending(QueryCoordinatorContext context, BiConsumer<Client, ActionListener<QueryBuilder>> action) {
        SetOnce<QueryBuilder> found = new SetOnce<>();
        context.registerAsyncAction((client, listener) -> action.accept(client, ActionListener.wrap(query -> {
            found.set(query);
            listener.onResponse(null);
        }, listener::onFailure)));
        return new PendingQueryBuilder(found::get);
    }

    /** Returns whether a search goes to several shards. Returns false if that cannot be resolved; such a search fails later by itself. */
    boolean severalShards(SearchRequest request) {
        try {
            SearchTarget target = SearchTarget.of(request, cluster.state(), cluster.operationRouting(), resolver, registry);
            return target.only() == null && target.indices().length > 0;
        } catch (RuntimeException e) {
            return false;
        }
    }

    private Fusion asked(
        HybridQueryBuilder hybrid,
        SearchRequest request,
        SearchNotes search,
        SearchTarget target,
        ClusterState state
    ) {
        if (hybrid.options().fusion() != null) {
            return hybrid.options().fusion();
        }
        Fusion pipeline = new PipelineFusion(clause.name(), state).of(request, search, target.indices());
        return pipeline == null ? Fusion.DEFAULT : pipeline;
    }

    /**
     * Rewrites each query separately. Omits queries whose text no encoder can read and, with {@code on_encoder_failure: skip}, queries
     * whose encoder fails. Queries that need no encoder are rewritten at once, because an asynchronous round has a cost.
     */
    QueryBuilder rewriteEach(HybridQueryBuilder hybrid, QueryCoordinatorContext context) throws IOException {
        LegRewrites rewrites = new LegRewrites(context, hybrid.options().onEncoderFailure());
        List<QueryBuilder> legs = rewrites.atOnce(hybrid.queries());
        if (legs != null) {
            return hybrid.keep(IntStream.range(0, legs.size()).boxed().toList(), legs);
        }
        SearchNotes search = notes.of(context);
        return pending(context, (client, listener) -> rewrites.run(client, hybrid.queries(), ActionListener.map(listener, outcome -> {
            List<String> names = hybrid.describe(Fusion.DEFAULT).names();
            for (int i = 0; i < outcome.failures().size(); i++) {
                Exception failure = outcome.failures().get(i);
                if (failure != null) {
                    clause.stats().legSkipped();
                    if (search != null) {
                        search.degraded(new DegradedLeg(names.get(i), failure.getMessage()));
                    }
                }
            }
            return hybrid.keep(outcome.kept(), outcome.legs());
        })));
    }

    /** Returns the request as a search request. Other requests that rewrite queries have the same indices and options. */
    private static SearchRequest searchRequest(IndicesRequest request) {
        if (request instanceof SearchRequest search) {
            return search;
        }
        IndicesOptions options = request.indicesOptions();
        return new SearchRequest(request.indices()).indicesOptions(options);
    }

    /** Returns the legs with the hybrid's filter inside each, so that k-NN filters before it selects neighbors. */
    private List<QueryBuilder> pushed(List<QueryBuilder> queries, QueryBuilder filter) {
        List<QueryBuilder> legs = new ArrayList<>(queries.size());
        for (QueryBuilder query : queries) {
            if (filter == null && query.queryName() == null) {
                legs.add(vectors.among(query));
                continue;
            }
            // Copy the leg, because the caller may send its query again and a bool adds the filter to itself. Remove the name: the fused
            // query reports it, so the leg does not run again for it.
            QueryBuilder own = vectors.copy(query).queryName(null);
            float boost = own.boost();
            QueryBuilder leg = filter == null ? own : own.filter(filter);
            if (leg != own && leg.getClass() == own.getClass()) {
                // k-NN loses the boost when it adds a filter.
                leg.boost(boost);
            }
            legs.add(vectors.among(leg));
        }
        return legs;
    }
}
