package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;

import org.mmsearch.encoder.EncoderException;
import org.opensearch.ExceptionsHelper;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.index.query.BaseQueryRewriteContext;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.index.query.Rewriteable;
import org.opensearch.transport.client.Client;

/** Rewrites legs each by itself, so that one whose encoder fails can be left out. */
final class LegRewrites {

    /**
     * What became of the legs.
     *
     * @param kept positions of the legs that were rewritten
     * @param legs those legs
     * @param failures for each position the failure that left it out, or null
     */
    record Outcome(List<Integer> kept, List<QueryBuilder> legs, List<Exception> failures) {}

    private final QueryCoordinatorContext context;

    LegRewrites(QueryCoordinatorContext context) {
        this.context = context;
    }

    /**
     * @param client of the node
     * @param queries the legs
     * @param listener is given what became of them; it fails when all of them fail, or one for a reason that is not its encoder's state
     */
    void run(Client client, List<QueryBuilder> queries, ActionListener<Outcome> listener) {
        AtomicReferenceArray<QueryBuilder> done = new AtomicReferenceArray<>(queries.size());
        AtomicReferenceArray<Exception> failed = new AtomicReferenceArray<>(queries.size());
        AtomicInteger left = new AtomicInteger(queries.size());
        for (int i = 0; i < queries.size(); i++) {
            int leg = i;
            Consumer<Runnable> finish = result -> {
                result.run();
                if (left.decrementAndGet() == 0) {
                    finish(done, failed, listener);
                }
            };
            BaseQueryRewriteContext own = new BaseQueryRewriteContext(
                context.getXContentRegistry(),
                context.getWriteableRegistry(),
                client,
                context::nowInMillis
            );
            Rewriteable.rewriteAndFetch(
                queries.get(leg),
                new QueryCoordinatorContext(own, context.getSearchRequest()),
                ActionListener.wrap(query -> finish.accept(() -> done.set(leg, query)), e -> finish.accept(() -> failed.set(leg, e)))
            );
        }
    }

    private static void finish(
        AtomicReferenceArray<QueryBuilder> done,
        AtomicReferenceArray<Exception> failed,
        ActionListener<Outcome> listener
    ) {
        List<Integer> kept = new ArrayList<>();
        List<QueryBuilder> legs = new ArrayList<>();
        List<Exception> failures = new ArrayList<>();
        for (int i = 0; i < done.length(); i++) {
            Exception failure = failed.get(i);
            failures.add(failure);
            if (failure == null) {
                kept.add(i);
                legs.add(done.get(i));
            } else if (canBeLeftOut(failure) == false) {
                listener.onFailure(failure);
                return;
            }
        }
        if (kept.isEmpty()) {
            listener.onFailure(failures.get(0));
        } else {
            listener.onResponse(new Outcome(kept, legs, failures));
        }
    }

    private static boolean canBeLeftOut(Exception failure) {
        RestStatus status = ExceptionsHelper.status(failure);
        return ExceptionsHelper.unwrap(failure, EncoderException.class) != null
            && status != RestStatus.BAD_REQUEST
            && status != RestStatus.NOT_FOUND;
    }
}
