package org.mmsearch.neural;

import org.opensearch.common.inject.Inject;
import org.opensearch.common.lifecycle.AbstractLifecycleComponent;
import org.opensearch.transport.TransportService;

/** Connects {@link SearchCancellations} to the node's task manager, which only the injector gives out. */
public final class CancellationListener extends AbstractLifecycleComponent {

    private final TransportService transport;
    private final SearchCancellations cancellations;

    /** Called by the injector. */
    @Inject
    public CancellationListener(TransportService transport, SearchCancellations cancellations) {
        this.transport = transport;
        this.cancellations = cancellations;
    }

    @Override
    protected void doStart() {
        transport.getTaskManager().addTaskEventListeners(cancellations);
    }

    @Override
    protected void doStop() {}

    @Override
    protected void doClose() {}
}
