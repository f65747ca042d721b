/** Entry of the preview page that `podscope demo` serves where there is no Grafana. */
import { createTheme, ThemeContext } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { App } from './App';
import './style.css';

const holder = document.getElementById('root');
if (holder !== null) {
  createRoot(holder).render(
    <ThemeContext.Provider value={createTheme({ colors: { mode: 'dark' } })}>
      <GlobalStyles />
      <App />
      <PortalContainer />
    </ThemeContext.Provider>
  );
}
