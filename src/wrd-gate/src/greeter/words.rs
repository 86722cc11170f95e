//! The texts of the login screen in the client's language, which is told by its keyboard layout: RDP has no other word
//! for it.
//!
//! As with gettext the English text is the key, so that what the leader and the monitor say is translated here as well,
//! and what nobody has translated (the words of PAM's modules) is shown as it is.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    German,
    French,
    Spanish,
    Chinese,
}

impl Language {
    /// By a keyboard layout of Windows', whose lowest ten bits are the primary language (MS-LCID 2.1).
    pub fn of_keyboard(layout: u32) -> Self {
        match layout & 0x3ff {
            0x07 => Self::German,
            0x0c => Self::French,
            0x0a => Self::Spanish,
            0x04 => Self::Chinese,
            _ => Self::English,
        }
    }

    /// A text in this language.
    pub fn say(self, english: &str) -> &str {
        let column = match self {
            Self::English => return english,
            Self::German => 0,
            Self::French => 1,
            Self::Spanish => 2,
            Self::Chinese => 3,
        };
        let found = WORDS.iter().find(|(key, _)| *key == english);
        found.and_then(|(_, words)| words.get(column)).copied().unwrap_or(english)
    }
}

/// English; German, French, Spanish, simplified Chinese. `{}` stands for a number.
#[rustfmt::skip]
const WORDS: &[(&str, [&str; 4])] = &[
    // The screen's own.
    ("Log in to your desktop", ["An Ihrem Desktop anmelden", "Connexion à votre bureau", "Inicie sesión en su escritorio", "登录您的桌面"]),
    ("User name", ["Benutzername", "Nom d’utilisateur", "Nombre de usuario", "用户名"]),
    ("Password", ["Passwort", "Mot de passe", "Contraseña", "密码"]),
    ("Keyboard layout", ["Tastaturbelegung", "Disposition du clavier", "Distribución del teclado", "键盘布局"]),
    ("Session", ["Sitzung", "Session", "Sesión", "会话"]),
    ("Last session", ["Letzte Sitzung", "Dernière session", "Última sesión", "上次的会话"]),
    ("Default desktop", ["Standard-Desktop", "Bureau par défaut", "Escritorio predeterminado", "默认桌面"]),
    ("Cancelling…", ["Wird abgebrochen …", "Annulation…", "Cancelando…", "正在取消…"]),
    ("Caps Lock is on", ["Feststelltaste ist an", "Verr. Maj. est activé", "Bloq Mayús está activado", "大写锁定已打开"]),
    ("Log in", ["Anmelden", "Se connecter", "Iniciar sesión", "登录"]),
    ("Continue", ["Weiter", "Continuer", "Continuar", "继续"]),
    ("Cancel", ["Abbrechen", "Annuler", "Cancelar", "取消"]),
    ("Close", ["Schließen", "Fermer", "Cerrar", "关闭"]),
    ("Checking…", ["Wird geprüft …", "Vérification…", "Comprobando…", "正在验证…"]),
    ("Starting your desktop…", ["Ihr Desktop wird gestartet …", "Démarrage de votre bureau…", "Iniciando su escritorio…", "正在启动您的桌面…"]),
    ("You cannot be logged in now", ["Die Anmeldung ist jetzt nicht möglich", "Connexion impossible pour le moment", "Ahora no se puede iniciar sesión", "现在无法登录"]),
    ("Type your user name.", ["Geben Sie Ihren Benutzernamen ein.", "Saisissez votre nom d’utilisateur.", "Escriba su nombre de usuario.", "请输入用户名。"]),
    ("This user name is too long.", ["Dieser Benutzername ist zu lang.", "Ce nom d’utilisateur est trop long.", "Este nombre de usuario es demasiado largo.", "用户名过长。"]),
    ("This password is too long.", ["Dieses Passwort ist zu lang.", "Ce mot de passe est trop long.", "Esta contraseña es demasiado larga.", "密码过长。"]),
    ("This answer is too long.", ["Diese Antwort ist zu lang.", "Cette réponse est trop longue.", "Esta respuesta es demasiado larga.", "回答过长。"]),
    ("{} s left", ["noch {} s", "encore {} s", "quedan {} s", "剩余 {} 秒"]),
    // Of the gate.
    ("The login cannot be tried again. Please connect again.", ["Die Anmeldung kann nicht wiederholt werden. Bitte verbinden Sie sich neu.", "La connexion ne peut pas être retentée. Veuillez vous reconnecter.", "No se puede reintentar el inicio de sesión. Conéctese de nuevo.", "无法再次尝试登录。请重新连接。"]),
    ("The login took too long. Please connect again.", ["Die Anmeldung hat zu lange gedauert. Bitte verbinden Sie sich neu.", "La connexion a pris trop de temps. Veuillez vous reconnecter.", "El inicio de sesión tardó demasiado. Conéctese de nuevo.", "登录时间过长。请重新连接。"]),
    ("The login service is confused. Please connect again.", ["Der Anmeldedienst ist durcheinander. Bitte verbinden Sie sich neu.", "Le service de connexion est perturbé. Veuillez vous reconnecter.", "El servicio de inicio de sesión está confuso. Conéctese de nuevo.", "登录服务出现异常。请重新连接。"]),
    ("The login service was interrupted. Please connect again.", ["Der Anmeldedienst wurde unterbrochen. Bitte verbinden Sie sich neu.", "Le service de connexion a été interrompu. Veuillez vous reconnecter.", "El servicio de inicio de sesión se interrumpió. Conéctese de nuevo.", "登录服务已中断。请重新连接。"]),
    // Of the leader.
    ("The user name or the password is wrong.", ["Der Benutzername oder das Passwort ist falsch.", "Le nom d’utilisateur ou le mot de passe est incorrect.", "El nombre de usuario o la contraseña no es correcto.", "用户名或密码错误。"]),
    ("This account has expired. Ask the administrator of this machine.", ["Dieses Konto ist abgelaufen. Fragen Sie den Administrator dieses Rechners.", "Ce compte a expiré. Adressez-vous à l’administrateur de cette machine.", "Esta cuenta ha caducado. Pregunte al administrador de este equipo.", "此账户已过期。请联系本机管理员。"]),
    ("This account may not log in here now. Ask the administrator of this machine.", ["Dieses Konto darf sich hier jetzt nicht anmelden. Fragen Sie den Administrator dieses Rechners.", "Ce compte ne peut pas se connecter ici maintenant. Adressez-vous à l’administrateur de cette machine.", "Esta cuenta no puede iniciar sesión aquí ahora. Pregunte al administrador de este equipo.", "此账户现在不能在此登录。请联系本机管理员。"]),
    ("The user database cannot be reached at the moment. Try again later.", ["Die Benutzerdatenbank ist zurzeit nicht erreichbar. Versuchen Sie es später noch einmal.", "La base des utilisateurs est injoignable pour le moment. Réessayez plus tard.", "Ahora no se puede acceder a la base de datos de usuarios. Inténtelo más tarde.", "目前无法访问用户数据库。请稍后再试。"]),
    ("This machine cannot check passwords: its login service is not set up. The log says more.", ["Dieser Rechner kann keine Passwörter prüfen: Sein Anmeldedienst ist nicht eingerichtet. Mehr steht im Protokoll.", "Cette machine ne peut pas vérifier les mots de passe : son service de connexion n’est pas configuré. Le journal en dit plus.", "Este equipo no puede comprobar contraseñas: su servicio de inicio de sesión no está configurado. El registro dice más.", "本机无法验证密码：登录服务尚未配置。详见日志。"]),
    ("The login was cancelled.", ["Die Anmeldung wurde abgebrochen.", "La connexion a été annulée.", "Se canceló el inicio de sesión.", "登录已取消。"]),
    ("The login service of this machine asks too many questions. Ask its administrator.", ["Der Anmeldedienst dieses Rechners stellt zu viele Fragen. Fragen Sie seinen Administrator.", "Le service de connexion de cette machine pose trop de questions. Adressez-vous à son administrateur.", "El servicio de inicio de sesión de este equipo hace demasiadas preguntas. Pregunte a su administrador.", "本机的登录服务提问过多。请联系管理员。"]),
    ("Your password has expired and was not changed.", ["Ihr Passwort ist abgelaufen und wurde nicht geändert.", "Votre mot de passe a expiré et n’a pas été changé.", "Su contraseña ha caducado y no se cambió.", "您的密码已过期，且未更改。"]),
    ("Your password has expired, and this machine does not take a new one.", ["Ihr Passwort ist abgelaufen, und dieser Rechner nimmt kein neues an.", "Votre mot de passe a expiré et cette machine n’en accepte pas de nouveau.", "Su contraseña ha caducado y este equipo no acepta una nueva.", "您的密码已过期，而本机不接受新密码。"]),
    ("Your password has expired. Log in with it to choose a new one.", ["Ihr Passwort ist abgelaufen. Melden Sie sich damit an, um ein neues zu wählen.", "Votre mot de passe a expiré. Connectez-vous avec lui pour en choisir un nouveau.", "Su contraseña ha caducado. Inicie sesión con ella para elegir una nueva.", "您的密码已过期。请用它登录以设置新密码。"]),
    ("The login service asks:", ["Der Anmeldedienst fragt:", "Le service de connexion demande :", "El servicio de inicio de sesión pregunta:", "登录服务询问："]),
    ("The login took too long.", ["Die Anmeldung hat zu lange gedauert.", "La connexion a pris trop de temps.", "El inicio de sesión tardó demasiado.", "登录时间过长。"]),
    ("The login service does not answer. Try again.", ["Der Anmeldedienst antwortet nicht. Versuchen Sie es noch einmal.", "Le service de connexion ne répond pas. Réessayez.", "El servicio de inicio de sesión no responde. Inténtelo de nuevo.", "登录服务没有响应。请重试。"]),
    ("The login service was restarted. Try again.", ["Der Anmeldedienst wurde neu gestartet. Versuchen Sie es noch einmal.", "Le service de connexion a été redémarré. Réessayez.", "El servicio de inicio de sesión se reinició. Inténtelo de nuevo.", "登录服务已重新启动。请重试。"]),
    ("The session was told to end before it was ready.", ["Die Sitzung wurde beendet, bevor sie bereit war.", "La session a été arrêtée avant d’être prête.", "Se ordenó terminar la sesión antes de que estuviera lista.", "会话在就绪之前被要求结束。"]),
    ("The desktop was not ready in time.", ["Der Desktop war nicht rechtzeitig bereit.", "Le bureau n’a pas été prêt à temps.", "El escritorio no estuvo listo a tiempo.", "桌面未能及时就绪。"]),
    ("Your session is just ending. Try again in a moment.", ["Ihre Sitzung wird gerade beendet. Versuchen Sie es gleich noch einmal.", "Votre session est en train de se terminer. Réessayez dans un instant.", "Su sesión está terminando. Inténtelo de nuevo en un momento.", "您的会话正在结束。请稍后再试。"]),
    ("Your desktop does not answer.", ["Ihr Desktop antwortet nicht.", "Votre bureau ne répond pas.", "Su escritorio no responde.", "您的桌面没有响应。"]),
    // What PAM's own modules ask for again and again.
    ("Password:", ["Passwort:", "Mot de passe :", "Contraseña:", "密码："]),
    ("Current password:", ["Bisheriges Passwort:", "Mot de passe actuel :", "Contraseña actual:", "当前密码："]),
    ("New password:", ["Neues Passwort:", "Nouveau mot de passe :", "Contraseña nueva:", "新密码："]),
    ("Retype new password:", ["Neues Passwort noch einmal:", "Retapez le nouveau mot de passe :", "Repita la contraseña nueva:", "再次输入新密码："]),
    ("Verification code:", ["Bestätigungscode:", "Code de vérification :", "Código de verificación:", "验证码："]),
    // Of the monitor.
    ("Too many logins from your address have failed. Please try again in a few minutes.", ["Zu viele Anmeldungen von Ihrer Adresse sind fehlgeschlagen. Bitte versuchen Sie es in einigen Minuten wieder.", "Trop de connexions ont échoué depuis votre adresse. Réessayez dans quelques minutes.", "Han fallado demasiados inicios de sesión desde su dirección. Inténtelo en unos minutos.", "来自您地址的失败登录过多。请几分钟后再试。"]),
    ("Too many people are logging in just now. Please connect again.", ["Gerade melden sich zu viele Leute an. Bitte verbinden Sie sich neu.", "Trop de personnes se connectent en ce moment. Veuillez vous reconnecter.", "Hay demasiadas personas iniciando sesión. Conéctese de nuevo.", "目前登录人数过多。请重新连接。"]),
    ("The server has no room for another connection.", ["Der Server hat keinen Platz für eine weitere Verbindung.", "Le serveur n’a plus de place pour une autre connexion.", "El servidor no admite más conexiones.", "服务器无法再接受新连接。"]),
    ("The login service is not available.", ["Der Anmeldedienst ist nicht verfügbar.", "Le service de connexion n’est pas disponible.", "El servicio de inicio de sesión no está disponible.", "登录服务不可用。"]),
    ("Your session cannot be reached.", ["Ihre Sitzung ist nicht erreichbar.", "Votre session est injoignable.", "No se puede acceder a su sesión.", "无法连接到您的会话。"]),
    ("Your session could not be started.", ["Ihre Sitzung konnte nicht gestartet werden.", "Votre session n’a pas pu démarrer.", "No se pudo iniciar su sesión.", "无法启动您的会话。"]),
    ("Your session did not start in time.", ["Ihre Sitzung ist nicht rechtzeitig gestartet.", "Votre session n’a pas démarré à temps.", "Su sesión no se inició a tiempo.", "您的会话未能及时启动。"]),
    ("Your session does not answer.", ["Ihre Sitzung antwortet nicht.", "Votre session ne répond pas.", "Su sesión no responde.", "您的会话没有响应。"]),
    ("Your session is ending. Try again in a moment.", ["Ihre Sitzung wird beendet. Versuchen Sie es gleich noch einmal.", "Votre session se termine. Réessayez dans un instant.", "Su sesión está terminando. Inténtelo de nuevo en un momento.", "您的会话正在结束。请稍后再试。"]),
    ("Your previous session is still ending. Try again in a moment.", ["Ihre vorige Sitzung wird noch beendet. Versuchen Sie es gleich noch einmal.", "Votre session précédente se termine encore. Réessayez dans un instant.", "Su sesión anterior aún está terminando. Inténtelo de nuevo en un momento.", "您之前的会话仍在结束。请稍后再试。"]),
    ("Your session ended as soon as it had started.", ["Ihre Sitzung endete gleich nach dem Start.", "Votre session s’est terminée dès son démarrage.", "Su sesión terminó nada más empezar.", "您的会话刚启动就结束了。"]),
    ("This account is not the one that was enrolled. Log in again.", ["Dieses Konto ist nicht das, das eingetragen wurde. Melden Sie sich neu an.", "Ce compte n’est pas celui qui a été inscrit. Reconnectez-vous.", "Esta cuenta no es la que se inscribió. Inicie sesión de nuevo.", "此账户不是所登记的账户。请重新登录。"]),
    ("This account is not the one that has the session. Log in again.", ["Dieses Konto ist nicht das, dem die Sitzung gehört. Melden Sie sich neu an.", "Ce compte n’est pas celui qui possède la session. Reconnectez-vous.", "Esta cuenta no es la que tiene la sesión. Inicie sesión de nuevo.", "此账户不是该会话的所有者。请重新登录。"]),
    ("Your session has ended. Log in again to start another one.", ["Ihre Sitzung ist beendet. Melden Sie sich neu an, um eine andere zu beginnen.", "Votre session est terminée. Reconnectez-vous pour en ouvrir une autre.", "Su sesión ha terminado. Inicie sesión de nuevo para empezar otra.", "您的会话已结束。请重新登录以开始新的会话。"]),
    ("Your session has ended.", ["Ihre Sitzung ist beendet.", "Votre session est terminée.", "Su sesión ha terminado.", "您的会话已结束。"]),
    ("Your session is out of order.", ["Ihre Sitzung ist gestört.", "Votre session est défaillante.", "Su sesión no funciona.", "您的会话出现故障。"]),
    ("The login ended while its session was awaited.", ["Die Anmeldung endete, während auf ihre Sitzung gewartet wurde.", "La connexion s’est terminée pendant l’attente de sa session.", "El inicio de sesión terminó mientras se esperaba su sesión.", "在等待会话时登录已结束。"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Language; 5] =
        [Language::English, Language::German, Language::French, Language::Spanish, Language::Chinese];

    #[test]
    fn the_language_is_that_of_the_keyboard() {
        for (layout, language) in [
            (0x0409, Language::English),
            (0x0407, Language::German),
            (0x0807, Language::German),
            (0x0001_0407, Language::German),
            (0x080c, Language::French),
            (0x040a, Language::Spanish),
            (0x080a, Language::Spanish),
            (0x0804, Language::Chinese),
            (0xE001_0804, Language::Chinese),
            (0x0411, Language::English),
            (0, Language::English),
        ] {
            assert_eq!(Language::of_keyboard(layout), language, "{layout:#x}");
        }
    }

    #[test]
    fn what_nobody_has_translated_is_shown_as_it_is() {
        for language in ALL {
            assert_eq!(language.say("BAD PASSWORD: it is too short"), "BAD PASSWORD: it is too short");
        }
    }

    #[test]
    fn every_text_is_there_once_in_all_languages_and_ends_alike() {
        for (index, (key, words)) in WORDS.iter().enumerate() {
            assert!(!WORDS.iter().skip(index + 1).any(|(other, _)| other == key), "{key} is there twice");
            for word in words {
                assert!(!word.is_empty() && word.trim() == *word, "{key}: {word:?}");
                assert_eq!(word.contains("{}"), key.contains("{}"), "{key}: {word}");
                assert_eq!(word.ends_with(['.', '。']), key.ends_with('.'), "{key}: {word}");
            }
        }
    }

    #[test]
    fn every_letter_of_every_text_can_be_drawn() {
        for (_, words) in WORDS {
            for word in words {
                let missing: String = word.chars().filter(|c| !wrd_draw::can_draw(*c)).collect();
                assert!(missing.is_empty(), "{word}: no glyph for {missing:?}; run tools/han-font");
            }
        }
    }
}
