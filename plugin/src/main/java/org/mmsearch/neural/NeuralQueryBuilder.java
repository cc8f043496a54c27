package org.mmsearch.neural;

import java.io.IOException;
import java.util.Locale;
import java.util.Objects;

import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.Query;
import org.mmsearch.encoder.EncoderModel;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.action.IndicesRequest;
import org.opensearch.common.SetOnce;
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

/**
 * The {@code neural} clause: a text, a picture or a document in, k-NN's {@code knn} query out. The coordinating node
 * rewrites it, asking Triton without holding a thread; a shard never sees it.
 */
public final class NeuralQueryBuilder extends AbstractQueryBuilder<NeuralQueryBuilder> implements WithFieldName {

    private final NeuralClause clause;
    private final String field;
    private final NeuralBody body;
    /** Filled by the asynchronous action of this builder's rewrite; null before that began. */
    private final SetOnce<float[]> vector;

    private NeuralQueryBuilder(NeuralClause clause, String field, NeuralBody body, SetOnce<float[]> vector) {
        this.clause = clause;
        this.field = field;
        this.body = body;
        this.vector = vector;
    }

    NeuralQueryBuilder(NeuralClause clause, StreamInput in) throws IOException {
        super(in);
        this.clause = clause;
        this.field = in.readString();
        this.body = new NeuralBody(in);
        this.vector = null;
    }

    static NeuralQueryBuilder parse(NeuralClause clause, XContentParser parser) throws IOException {
        String field = null;
        NeuralBody body = null;
        while (parser.nextToken() != XContentParser.Token.END_OBJECT) {
            if (parser.currentToken() == XContentParser.Token.START_OBJECT) {
                throwParsingExceptionOnMultipleFields(clause.name(), parser.getTokenLocation(), field, parser.currentName());
                field = parser.currentName();
                body = clause.parser().parse(parser, null);
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
        return new NeuralQueryBuilder(clause, field, body.validated(clause.name()), null).boost(body.boost())
            .queryName(body.queryName());
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) throws IOException {
        if (vector != null) {
            float[] come = vector.get();
            return come == null ? this : knn(context, come);
        }
        IndicesRequest request = coordinator(context).getSearchRequest();
        NeuralServices services = clause.services();
        EncoderModel model;
        QueryVector query;
        try {
            model = services.fields().encoder(request, field, body.modelId());
            if (model == null) {
                return new MatchNoneQueryBuilder();
            }
            query = QueryVector.of(body, body.queryImage() == null ? null : services.images().decode(body.queryImage()));
            if (context.validate()) {
                return knn(context, placeholder(model.dimension()));
            }
            VectorSource source = new VectorSource(services, request, clause.name(), field, model);
            float[] remembered = source.remembered(query);
            if (remembered != null) {
                return knn(context, remembered);
            }
            SetOnce<float[]> coming = new SetOnce<>();
            context.registerAsyncAction((client, listener) -> source.fetch(query, client, ActionListener.wrap(come -> {
                coming.set(come);
                listener.onResponse(null);
            }, listener::onFailure)));
            return new NeuralQueryBuilder(clause, field, body, coming).boost(boost).queryName(queryName);
        } catch (IllegalArgumentException e) {
            throw Failures.prefixed(clause.name(), e);
        }
    }

    private QueryBuilder knn(QueryRewriteContext context, float[] come) throws IOException {
        NeuralBody knn = body.like() == null ? body : body.withFilter(LeaveOut.document(body.like(), body.filter()));
        return KnnClause.of(context.getXContentRegistry(), field, knn, come).boost(boost).queryName(queryName);
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

    /** A copy that names this model, where the query names none. */
    NeuralQueryBuilder withDefaultModelId(String modelId) {
        return body.modelId() != null || modelId == null
            ? this
            : new NeuralQueryBuilder(clause, field, body.withModelId(modelId), vector).boost(boost).queryName(queryName);
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
        return new NeuralQueryBuilder(clause, field, body.withFilter(both), vector).boost(boost).queryName(queryName);
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
        if (vector != null) {
            throw new IllegalStateException("a [" + clause.name() + "] clause is not sent while it is encoded");
        }
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
