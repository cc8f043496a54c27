package org.mmsearch.neural;

import java.io.IOException;
import java.util.Locale;
import java.util.Objects;
import java.util.function.BiConsumer;

import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.Query;
import org.mmsearch.WireForm;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.neural.fields.RequestFields;
import org.mmsearch.neural.fields.VectorStorage;
import org.mmsearch.neural.vectors.NeuralServices;
import org.mmsearch.neural.vectors.QueryVector;
import org.mmsearch.neural.vectors.VectorSource;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.action.ActionRunnable;
import org.opensearch.action.IndicesRequest;
import org.opensearch.common.SetOnce;
import org.opensearch.common.lease.Releasable;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.MatchNoneQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.query.WithFieldName;
import org.opensearch.transport.client.Client;

/**
 * The {@code neural} clause: a text, a picture or a document in, k-NN's {@code knn} query out. The coordinating node
 * rewrites it, asking Triton without holding a thread; a shard never sees it.
 */
public final class NeuralQueryBuilder extends AbstractQueryBuilder<NeuralQueryBuilder> implements WithFieldName {

    private final NeuralClause clause;
    private final String field;
    private final NeuralBody body;
    /** Filled with the rewritten query by the asynchronous action of this builder's rewrite; null before that began. */
    private final SetOnce<QueryBuilder> rewritten;
    /** The encoder of {@link #rewritten}; null with it. */
    private final EncoderModel encodedBy;

    private NeuralQueryBuilder(NeuralClause clause, String field, NeuralBody body, SetOnce<QueryBuilder> rewritten, EncoderModel encodedBy) {
        this.clause = clause;
        this.field = field;
        this.body = body;
        this.rewritten = rewritten;
        this.encodedBy = encodedBy;
    }

    NeuralQueryBuilder(NeuralClause clause, StreamInput in) throws IOException {
        super(in);
        int form = WireForm.read(in, clause.name(), NeuralBody.WITH_TEXT_TO_IMAGE);
        this.clause = clause;
        this.field = in.readString();
        this.body = new NeuralBody(in, form);
        this.rewritten = null;
        this.encodedBy = null;
    }

    static NeuralQueryBuilder parse(NeuralClause clause, XContentParser parser) throws IOException {
        String field = null;
        NeuralBody body = null;
        while (parser.nextToken() != XContentParser.Token.END_OBJECT) {
            if (parser.currentToken() == XContentParser.Token.START_OBJECT) {
                throwParsingExceptionOnMultipleFields(clause.name(), parser.getTokenLocation(), field, parser.currentName());
                field = parser.currentName();
                try {
                    body = clause.parser().parse(parser, null);
                } catch (NeuralBody.UnsupportedKey e) {
                    throw new ParsingException(parser.getTokenLocation(), e.getMessage(), e);
                }
            } else if (parser.currentToken() != XContentParser.Token.FIELD_NAME) {
                throw new ParsingException(
                    parser.getTokenLocation(),
                    String.format(
                        Locale.ROOT,
                        "[%s] requires an object under the field's name, got %s under [%s]",
                        clause.name(),
                        parser.currentToken(),
                        parser.currentName()
                    )
                );
            }
        }
        if (body == null) {
            throw new ParsingException(parser.getTokenLocation(), "[" + clause.name() + "] requires a field's name, none specified");
        }
        return new NeuralQueryBuilder(clause, field, body.validated(clause.name()), null, null).boost(body.boost())
            .queryName(body.queryName());
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) throws IOException {
        if (rewritten != null && rewritten.get() == null) {
            return this;
        }
        IndicesRequest request = coordinator(context).getSearchRequest();
        try {
            RequestFields fields = clause.services().fields().of(request, context.getWriteableRegistry());
            clause.services().fields().keep(request, fields);
            EncoderModel model = fields.encoder(field, body.modelId());
            // An alias that cannot be kept to has moved to another encoder's index: its vector is of no use there.
            if (rewritten != null && encodedBy.equals(model)) {
                return rewritten.get();
            }
            return model == null ? new MatchNoneQueryBuilder() : encoded(context, request, fields, model);
        } catch (IllegalArgumentException e) {
            throw prefixed(e);
        }
    }

    private IllegalArgumentException prefixed(IllegalArgumentException e) {
        String prefix = "[" + clause.name() + "] ";
        return String.valueOf(e.getMessage()).startsWith(prefix) ? e : new IllegalArgumentException(prefix + e.getMessage(), e);
    }

    private QueryBuilder encoded(QueryRewriteContext context, IndicesRequest request, RequestFields fields, EncoderModel model)
        throws IOException {
        NeuralServices services = clause.services();
        if (twoRounds() && fields.nested(field)) {
            // The round that finds the best hit searches root documents, of which none has this field.
            throw new IllegalArgumentException(
                "expected a [cutoff] by [min_score] alone on a field of nested documents, got [relative_max] or [gap] on [" + field
                    + "]: put the [nested] query into a hybrid and cut there"
            );
        }
        if (body.queryImage() != null) {
            return later(context, model, (client, listener) -> services.executor().execute(ActionRunnable.wrap(listener, done -> {
                // Base64 is four letters for three bytes; the picture and the request that carries it are there at once.
                Releasable reserved = services.memory().reserve(body.queryImage().length() / 4L * 3 * 2, "the picture of a query");
                ActionListener<QueryBuilder> found = ActionListener.runBefore(done, reserved::close);
                ActionRunnable.wrap(found, then -> encodePicture(context, request, fields, model, client, then)).run();
            })));
        }
        if (context.validate()) {
            return knn(context, request, fields, placeholder(model.dimension()));
        }
        QueryVector query = body.queryVector(null);
        VectorSource source = source(context, request, fields, model);
        float[] cached = source.cached(query);
        return cached == null || twoRounds()
            ? later(context, model, (client, listener) -> fetch(context, request, fields, source, client, query, cached, listener))
            : cut(knn(context, request, fields, cached), body.cutoff().minScore());
    }

    /** Base64 and the hash of a picture take the time of many searches: not to be called on a thread that takes requests. */
    private void encodePicture(
        QueryRewriteContext context,
        IndicesRequest request,
        RequestFields fields,
        EncoderModel model,
        Client client,
        ActionListener<QueryBuilder> listener
    ) throws IOException {
        QueryVector query = body.queryVector(clause.services().images().decode(body.queryImage()));
        if (context.validate()) {
            listener.onResponse(knn(context, request, fields, placeholder(model.dimension())));
            return;
        }
        VectorSource source = source(context, request, fields, model);
        fetch(context, request, fields, source, client, query, source.cached(query), listener);
    }

    /** This, until an action has found what takes its place. */
    private QueryBuilder later(QueryRewriteContext context, EncoderModel model, BiConsumer<Client, ActionListener<QueryBuilder>> action) {
        SetOnce<QueryBuilder> set = new SetOnce<>();
        context.registerAsyncAction((client, listener) -> action.accept(client, ActionListener.wrap(found -> {
            set.set(found);
            listener.onResponse(null);
        }, failure -> listener.onFailure(failure instanceof IllegalArgumentException e ? prefixed(e) : failure))));
        return new NeuralQueryBuilder(clause, field, body, set, model).boost(boost).queryName(queryName);
    }

    /** @param cached the vector, or null where it has to be fetched */
    private void fetch(
        QueryRewriteContext context,
        IndicesRequest request,
        RequestFields fields,
        VectorSource source,
        Client client,
        QueryVector query,
        float[] cached,
        ActionListener<QueryBuilder> listener
    ) {
        ActionListener<float[]> encoded = ActionListener.wrap(vector -> {
            QueryBuilder knn = knn(context, request, fields, vector);
            if (twoRounds() == false) {
                listener.onResponse(cut(knn, body.cutoff().minScore()));
                return;
            }
            NeuralServices services = clause.services();
            CutoffRound.leastScore(
                client,
                request,
                services.context().search(),
                services.context().task(),
                knn,
                body,
                services.vectors(),
                ActionListener.map(listener, least -> cut(knn, least))
            );
        }, listener::onFailure);
        if (cached == null) {
            source.fetch(query, client, encoded);
        } else {
            encoded.onResponse(cached);
        }
    }

    private VectorSource source(QueryRewriteContext context, IndicesRequest request, RequestFields fields, EncoderModel model) {
        String name = queryName == null ? field : queryName;
        return new VectorSource(
            clause.services(),
            request,
            fields,
            clause.name(),
            field,
            model,
            fields.textToImage(field, body.textToImage()),
            body.modelId(),
            reason -> clause.services().degraded().note(coordinator(context), name, reason)
        );
    }

    private boolean twoRounds() {
        return body.cutoff().relativeMax() != null || body.cutoff().gap() != null;
    }

    private QueryBuilder knn(QueryRewriteContext context, IndicesRequest request, RequestFields fields, float[] vector)
        throws IOException {
        QueryBuilder filter = clause.services().vectors().allowed(request, body.filter());
        if (body.like() != null) {
            filter = ExcludedDocument.document(body.like(), filter);
        }
        NeuralBody knn = filter == body.filter() ? body : body.withFilter(filter);
        VectorStorage storage = fields.storage(field);
        boolean nested = storage.faiss() && fields.nested(field);
        QueryBuilder query = KnnClause.of(context.getXContentRegistry(), field, storage, nested, knn, vector)
            .boost(boost)
            .queryName(queryName);
        return clause.services().vectors().among(query);
    }

    /** @param least the least score that is kept, or null where all are */
    private QueryBuilder cut(QueryBuilder knn, Float least) {
        if (least == null) {
            return knn;
        }
        if (least.isInfinite()) {
            return new MatchNoneQueryBuilder().queryName(queryName);
        }
        return clause.services().vectors().cut(knn, least);
    }

    private QueryCoordinatorContext coordinator(QueryRewriteContext context) {
        QueryCoordinatorContext coordinator = context.convertToCoordinatorContext();
        if (coordinator == null) {
            throw onShard();
        }
        return coordinator;
    }

    private OpenSearchStatusException onShard() {
        return new OpenSearchStatusException(
            "[{}] is encoded by the node that takes the search and cannot stand where shards rewrite a query, as in a percolator"
                + " or an alias's filter; put it into the search itself",
            RestStatus.BAD_REQUEST,
            clause.name()
        );
    }

    /** A vector that any metric takes; a validated query is parsed by k-NN with it and not encoded. */
    private static float[] placeholder(int dimension) {
        float[] unit = new float[dimension];
        unit[0] = 1;
        return unit;
    }

    /** Names the model where the query names none; only before the first rewrite. */
    void defaultModelId(String modelId) {
        body.defaultModelId(modelId);
    }

    /** Finds at least so many neighbours, where their number bounds them; only before the first rewrite. */
    public void atLeast(int k) {
        body.atLeast(k);
    }

    @Override
    protected Query doToQuery(QueryShardContext context) {
        throw onShard();
    }

    @Override
    public QueryBuilder filter(QueryBuilder filter) {
        if (validateFilterParams(filter) == false) {
            return this;
        }
        QueryBuilder both = body.filter() == null ? filter : body.filter().filter(filter);
        return new NeuralQueryBuilder(clause, field, body.withFilter(both), rewritten, encodedBy).boost(boost).queryName(queryName);
    }

    @Override
    public void visit(QueryBuilderVisitor visitor) {
        visitor.accept(this);
        if (body.filter() != null) {
            body.filter().visit(visitor.getChildVisitor(BooleanClause.Occur.FILTER));
        }
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        if (rewritten != null) {
            throw new IllegalStateException("a [" + clause.name() + "] clause is not sent while it is encoded");
        }
        WireForm.begin(out, body.form());
        out.writeString(field);
        body.writeTo(out);
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(clause.name()).startObject(field);
        body.toXContent(builder, params);
        printBoostAndQueryName(builder);
        builder.endObject().endObject();
    }

    @Override
    protected boolean doEquals(NeuralQueryBuilder other) {
        return clause.name().equals(other.clause.name()) && field.equals(other.field) && body.equals(other.body);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(clause.name(), field, body);
    }

    @Override
    public String getWriteableName() {
        return clause.name();
    }

    @Override
    public String fieldName() {
        return field;
    }
}
