package org.mmsearch.hybrid.search;

import java.util.function.Consumer;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.lucene.search.BooleanClause;
import org.mmsearch.hybrid.fused.RankDocsQueryBuilder;
import org.opensearch.ExceptionsHelper;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.action.search.CreatePitAction;
import org.opensearch.action.search.CreatePitRequest;
import org.opensearch.action.search.DeletePitAction;
import org.opensearch.action.search.DeletePitRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.support.ContextPreservingActionListener;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.core.action.ActionListener;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.search.builder.PointInTimeBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.transport.client.Client;

/** The point in time of a search whose hybrids cannot be executed in another way. */
public final class PointInTime {

    private static final Logger LOG = LogManager.getLogger(PointInTime.class);
    /** Longer than any search. The point in time is deleted when the search ends. */
    private static final TimeValue KEEP_ALIVE = TimeValue.timeValueMinutes(5);

    private PointInTime() {}

    /** Returns whether OpenSearch sends further searches with the request's query after its hits are known. */
    public static boolean isExpanded(SearchRequest request) {
        return request.source() != null && isExpanded(request.source());
    }

    static boolean isExpanded(SearchSourceBuilder source) {
        return source.collapse() != null && source.collapse().getInnerHits().isEmpty() == false;
    }

    /**
     * Opens a point in time and sets it in the request.
     *
     * @param inPart whether shards may be missing if the request does not set this
     * @param listener receives an action that deletes the point in time
     */
    static void open(
        Client client,
        String clause,
        SearchRequest request,
        SearchNotes notes,
        boolean inPart,
        ActionListener<Runnable> listener
    ) {
        CreatePitRequest create = new CreatePitRequest(
            KEEP_ALIVE,
            request.allowPartialSearchResults() == null ? inPart : request.allowPartialSearchResults(),
            request.indices()
        );
        create.indicesOptions(request.indicesOptions());
        create.setRouting(request.routing());
        create.setPreference(request.preference());
        create.setParentTask(notes.task());
        ThreadContext context = client.threadPool().getThreadContext();
        client.execute(
            CreatePitAction.INSTANCE,
            create,
            ContextPreservingActionListener.wrapPreservingContext(ActionListener.wrap(opened -> {
                notes.ownPointInTime();
                notes.shards().opening(
                    opened.getTotalShards(),
                    opened.getSuccessfulShards(),
                    opened.getShardFailures(),
                    opened.getSuccessfulShards()
                );
                request.source().pointInTimeBuilder(new PointInTimeBuilder(opened.getId()));
                listener.onResponse(() -> delete(client, opened.getId()));
            }, failure -> listener.onFailure(notOpened(clause, failure))), context)
        );
    }

    private static Exception notOpened(String clause, Exception failure) {
        return new OpenSearchStatusException(
            "[" + clause + "] needs a point in time for this search on several shards (its search type, its [collapse] with inner hits, or "
                + "[cluster.search.enabled_system_generated_factories] without [" + HybridRewrite.TYPE + "] and [" + FusionPhase.TYPE
                + "] require it) and could not open one: " + failure.getMessage(),
            ExceptionsHelper.status(failure),
            failure
        );
    }

    private static void delete(Client client, String id) {
        client.execute(
            DeletePitAction.INSTANCE,
            new DeletePitRequest(id),
            ActionListener.wrap(
                deleted -> {},
                failure -> LOG.warn("failed to delete the point in time of a hybrid; it expires in " + KEEP_ALIVE, failure)
            )
        );
    }

    /**
     * Sets a search's point in time in the further searches that OpenSearch makes of its query, such as those of {@code collapse} with
     * inner hits.
     */
    static void inherit(SearchRequest request) {
        QueryBuilder query = request.source() == null ? null : request.source().query();
        if (query == null || request.pointInTimeBuilder() != null || request.getParentTask().isSet() == false) {
            return;
        }
        Consumer<String> into = id -> request.source().pointInTimeBuilder(new PointInTimeBuilder(id));
        query.visit(new QueryBuilderVisitor() {
            @Override
            public void accept(QueryBuilder inner) {
                if (inner instanceof RankDocsQueryBuilder hits && hits.pointInTime() != null) {
                    into.accept(hits.pointInTime());
                }
            }

            @Override
            public QueryBuilderVisitor getChildVisitor(BooleanClause.Occur occur) {
                return this;
            }
        });
    }
}
