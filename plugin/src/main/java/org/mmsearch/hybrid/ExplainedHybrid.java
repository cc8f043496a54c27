package org.mmsearch.hybrid;

import org.opensearch.action.explain.ExplainRequest;
import org.opensearch.action.search.SearchAction;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.support.ContextPreservingActionListener;
import org.opensearch.core.action.ActionListener;
import org.opensearch.index.query.IdsQueryBuilder;
import org.opensearch.index.query.MatchNoneQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.SearchHit;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.transport.client.Client;

/**
 * Explains a hybrid for the explain API. That API sends a request to one shard, but a fused score depends on all shards. So a search of all
 * shards computes the explanation first.
 */
final class ExplainedHybrid {

    private ExplainedHybrid() {}

    /**
     * Searches all shards for the explained document.
     *
     * @param listener receives the query that replaces the hybrid; it matches nothing if the document is not among the fused hits
     */
    static void ask(
        Client client,
        ExplainRequest explain,
        HybridQueryBuilder hybrid,
        ActionListener<QueryBuilder> listener
    ) {
        SearchSourceBuilder source = new SearchSourceBuilder().size(1)
            .fetchSource(false)
            .explain(true)
            .postFilter(new IdsQueryBuilder().addIds(explain.id()))
            // The query that replaces the hybrid gets the boost.
            .query(hybrid.plain());
        SearchRequest search = new SearchRequest(explain.indices()).indicesOptions(explain.indicesOptions()).source(source);
        search.setParentTask(explain.getParentTask());
        client.execute(
            SearchAction.INSTANCE,
            search,
            ContextPreservingActionListener.wrapPreservingContext(
                ActionListener.map(listener, response -> explained(response, explain.id())),
                client.threadPool().getThreadContext()
            )
        );
    }

    private static QueryBuilder explained(SearchResponse response, String id) {
        SearchHit[] hits = response.getHits().getHits();
        return hits.length == 0 ? new MatchNoneQueryBuilder() : new ExplainedQueryBuilder(id, hits[0].getExplanation());
    }
}
