package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.opensearch.ExceptionsHelper;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.index.query.BaseQueryRewriteContext;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.Rewriteable;
import org.opensearch.transport.client.Client;

/** Rewrites legs each by itself, so that one that cannot be encoded can be left out. */
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
    private final OnEncoderFailure onEncoderFailure;

    LegRewrites(QueryCoordinatorContext context, OnEncoderFailure onEncoderFailure) {
        this.context = context;
        this.onEncoderFailure = onEncoderFailure;
    }

    /**
     * Rewrites legs that need no asynchronous action.
     *
     * @param queries the legs
     * @return the rewritten legs, or null if one of them may call the encoder or needs an asynchronous action
     */
    List<QueryBuilder> atOnce(List<QueryBuilder> queries) throws IOException {
        List<QueryBuilder> rewritten = new ArrayList<>(queries.size());
        QueryRewriteContext own = own(null);
        for (QueryBuilder query : queries) {
            if (HybridFinder.onlyOthers(query) == false) {
                return null;
            }
            QueryBuilder leg = Rewriteable.rewrite(query, own);
            if (own.hasAsyncActions()) {
                return null;
            }
            rewritten.add(leg);
        }
        return rewritten;
    }

    private QueryCoordinatorContext own(Client client) {
        BaseQueryRewriteContext own = new BaseQueryRewriteContext(
            context.getXContentRegistry(),
            context.getWriteableRegistry(),
            client,
            context::nowInMillis
        );
        return new QueryCoordinatorContext(own, context.getSearchRequest());
    }

    /**
     * @param client of the node
     * @param queries the legs
     * @param listener is given what became of them; it fails when all of them fail, or at once when one fails that cannot be left out
     */
    void run(Client client, List<QueryBuilder> queries, ActionListener<Outcome> listener) {
        AtomicReferenceArray<QueryBuilder> done = new AtomicReferenceArray<>(queries.size());
        AtomicReferenceArray<Exception> failed = new AtomicReferenceArray<>(queries.size());
        AtomicInteger left = new AtomicInteger(queries.size());
        ActionListener<Outcome> once = ActionListener.notifyOnce(listener);
        for (int i = 0; i < queries.size(); i++) {
            int leg = i;
            Consumer<Runnable> finish = result -> {
                result.run();
                if (left.decrementAndGet() == 0) {
                    finish(done, failed, once);
                }
            };
            Rewriteable.rewriteAndFetch(
                queries.get(leg),
                own(client),
                ActionListener.wrap(query -> finish.accept(() -> done.set(leg, query)), e -> {
                    if (canBeLeftOut(e) == false) {
                        once.onFailure(e);
                    }
                    finish.accept(() -> failed.set(leg, e));
                })
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
            }
        }
        if (kept.isEmpty()) {
            listener.onFailure(failures.get(0));
        } else {
            listener.onResponse(new Outcome(kept, legs, failures));
        }
    }

    private boolean canBeLeftOut(Exception failure) {
        if (ExceptionsHelper.unwrap(failure, EncoderException.class) instanceof EncoderException encoder) {
            if (encoder.failure() == EncoderFailure.UNREADABLE) {
                return true;
            }
            RestStatus status = ExceptionsHelper.status(failure);
            return onEncoderFailure == OnEncoderFailure.SKIP && status != RestStatus.BAD_REQUEST && status != RestStatus.NOT_FOUND;
        }
        return false;
    }
}
